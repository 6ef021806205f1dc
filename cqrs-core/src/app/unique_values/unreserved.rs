//! The aggregates whose values of a unique field are not reserved, as a start and the health component report them.
use super::LateField;
use crate::{catalogue::NAMED, storage::ValueReservation};
use std::{collections::BTreeMap, fmt};

/// The aggregates whose values are not reserved, for the message of a start.
#[derive(Debug, Default)]
pub(super) struct Unreserved {
    /// The ids of aggregates, by the id of the one that holds their value.
    shared: BTreeMap<String, Vec<String>>,
    /// The ids of aggregates whose values cannot be read or reserved.
    unreadable: Vec<String>,
    named: usize,
    others: usize,
}
impl Unreserved {
    pub(super) fn is_empty(&self) -> bool {
        self.named == 0 && self.others == 0
    }
    /// Returns whether the report has room for the id of another aggregate.
    pub(super) fn names_more(&self) -> bool {
        self.named < NAMED
    }
    /// Counts aggregates that the report does not name.
    pub(super) fn add_unnamed(&mut self, count: usize) {
        self.others += count;
    }
    pub(super) fn add(&mut self, field: &LateField, id: String, reservation: &ValueReservation) {
        let mut holders = match reservation {
            ValueReservation::Reserved | ValueReservation::Changed => return,
            ValueReservation::Shared { holders } => holders.iter(),
            ValueReservation::NotReservable => [].iter(),
        };
        let holder = holders.find_map(|holder| field.id_of(holder));
        let names = 1 + usize::from(holder.is_some_and(|holder| !self.shared.contains_key(holder)));
        if self.named + names > NAMED {
            self.others += 1;
            return;
        }
        self.named += names;
        match (holder, reservation) {
            (Some(holder), _) => self.shared.entry(holder.to_owned()).or_default().push(id),
            (None, ValueReservation::Shared { .. }) => drop(self.shared.entry(id).or_default()),
            (None, _) => self.unreadable.push(id),
        }
    }
}
/// Prints the groups of aggregates that share a value, and those whose values cannot be read.
impl fmt::Display for Unreserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |ids: &mut dyn Iterator<Item = &String>| ids.map(|id| format!("`{id}`")).collect::<Vec<_>>();
        let groups = self.shared.iter().map(|(holder, ids)| quoted(&mut [holder].into_iter().chain(ids)).join(" and "));
        let mut parts: Vec<_> = groups.collect();
        if !self.unreadable.is_empty() {
            let ids = quoted(&mut self.unreadable.iter()).join(", ");
            parts.push(format!("{ids} with a value that cannot be read, or is too long to be reserved"));
        }
        if self.others > 0 {
            parts.push(format!("and {} more", self.others));
        }
        f.write_str(&parts.join("; "))
    }
}
