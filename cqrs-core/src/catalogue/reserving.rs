//! The state of reserving the values of fields that have become unique, for the health of a process.
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The largest number of aggregates that are named.
pub(crate) const NAMED: usize = 20;

/// The fields whose values are being reserved, or with aggregates whose values are not reserved.
#[derive(Debug, Default)]
pub(crate) struct Reserving(Mutex<BTreeMap<String, State>>);
#[derive(Debug, Default)]
struct State {
    /// The number of aggregates so far, while the values are being reserved.
    so_far: Option<usize>,
    /// The ids of the first aggregates whose values are not reserved.
    unreserved: Vec<String>,
}
impl Reserving {
    fn states(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Records the number of aggregates whose values were reserved so far, or the end.
    pub(crate) fn set_progress(&self, index: &str, so_far: Option<usize>) {
        self.states().entry(index.to_owned()).or_default().so_far = so_far;
    }
    /// Records aggregates whose values are not reserved: the first ones, and one more than [`NAMED`] if there are more.
    /// Returns whether this is news.
    pub(crate) fn set_unreserved(&self, index: &str, ids: Vec<String>) -> bool {
        let mut states = self.states();
        let before = &mut states.entry(index.to_owned()).or_default().unreserved;
        std::mem::replace(before, ids) != *before
    }
    /// Returns the error that the health endpoint shows, if there is one.
    pub(crate) fn error(&self) -> Option<String> {
        let states = self.states();
        let mut problems = Vec::new();
        for (index, State { so_far, unreserved }) in states.iter() {
            if let Some(so_far) = so_far {
                problems.push(format!("the values of unique field `{index}` are being reserved ({so_far} so far)"));
            }
            if !unreserved.is_empty() {
                problems.push(format!(
                    "values of unique field `{index}` are not reserved, because another aggregate holds them or they \
                     cannot be read: {}",
                    named(unreserved)
                ));
            }
        }
        (!problems.is_empty()).then(|| problems.join("; "))
    }
}

/// Returns the first [`NAMED`] ids, and says whether there are more.
pub(crate) fn named(ids: &[String]) -> String {
    let mut text = ids.iter().take(NAMED).map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
    if ids.len() > NAMED {
        text.push_str(" and more");
    }
    text
}
