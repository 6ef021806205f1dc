//! Copies of a view: the one that serves its reads, one that a rebuild fills, and the former one.
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// Separates the name of a view, or of a projection, from the number of a copy.
pub(crate) const SEPARATOR: char = '~';

/// Returns the name of a copy of a view. A read of this name reads the copy, whichever copy serves; a read of the view's own
/// name reads the copy that serves. A write of the view's own name writes copy 0.
///
/// The names of a process are kept until it ends. Each rebuild that it runs adds a few.
pub(crate) fn copy_of(name: &str, copy: u64) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let of_copy = format!("{name}{SEPARATOR}{copy}");
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(&*of_copy).copied() {
        return known;
    }
    let kept: &'static str = of_copy.leak();
    names.insert(kept);
    kept
}

/// Returns whether a name is that of one copy of a view.
pub(crate) fn is_copy(name: &str) -> bool {
    name.contains(SEPARATOR)
}

/// Splits the name of one copy of a view, or of its reader, into the name without the number and the number. Another name has no
/// number.
pub(crate) fn split_copy(name: &str) -> (&str, Option<u64>) {
    let split = name.rsplit_once(SEPARATOR).and_then(|(of, copy)| Some((of, copy.parse().ok()?)));
    split.map_or((name, None), |(of, copy)| (of, Some(copy)))
}

/// Returns the name under which the values of a copy are stored. Those of copy 0 have the view's own name, as they had before
/// the first rebuild.
pub(crate) fn stored_as(name: &str) -> &str {
    name.strip_suffix("~0").unwrap_or(name)
}

/// A switch of a view from the copy that serves to another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewSwitch {
    /// The view's name.
    pub view: String,
    /// The copy that serves.
    pub from: u64,
    /// The copy that serves afterwards.
    pub to: u64,
    /// The checkpoints that move with the switch.
    pub checkpoints: Vec<SwitchedReader>,
    /// The readers whose parked messages and inbox records move with the switch.
    pub readers: Vec<SwitchedReader>,
}

/// The three names of one reader of a switched view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchedReader {
    /// The reader of the copy that serves, before the switch and after it.
    pub live: String,
    /// The reader that has filled the other copy.
    pub filled: String,
    /// The reader that keeps the place of the former copy.
    pub kept: String,
}

/// Values of two copies of a view, read in one snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComparedValues {
    /// The checkpoints of the readers of the first copy, in the order in which they were asked for.
    pub first_at: Vec<u64>,
    /// The checkpoints of the readers of the second copy.
    pub second_at: Vec<u64>,
    /// The number of keys that were looked at. Fewer than the limit end the view.
    pub keys: usize,
    /// The last key that was looked at.
    pub last: Option<String>,
    /// The keys whose stored bytes differ, each with the value of the first and of the second copy.
    pub different: Vec<DifferentValues>,
}

/// A key with the values of two copies of a view; `None` where a copy has none.
pub type DifferentValues = (String, Option<Vec<u8>>, Option<Vec<u8>>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_copy_is_made_once_and_copy_0_is_stored_under_the_views_name() {
        assert!(std::ptr::eq(copy_of("card", 3), copy_of("card", 3)));
        assert!(is_copy(copy_of("card", 0)) && !is_copy("card"));
        assert_eq!(
            [split_copy("projection/card~12"), split_copy("card")],
            [("projection/card", Some(12)), ("card", None)]
        );
        assert_eq!([stored_as("card~0"), stored_as("card~10"), stored_as("card")], ["card", "card~10", "card"]);
    }
}
