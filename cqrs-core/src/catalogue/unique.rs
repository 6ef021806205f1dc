//! The unique fields of a service's aggregates, as all of its programs declare them.
use super::AggregateDeclaration;
use std::collections::{BTreeMap, BTreeSet};

/// The aggregates of several programs of a service.
#[derive(Debug, Clone, Default)]
pub(crate) struct UniqueFields(BTreeMap<String, KnownAggregate>);

#[derive(Debug, Clone, Default)]
struct KnownAggregate {
    /// The names of the events that any of the programs stores.
    events: BTreeSet<String>,
    /// The fields that are unique in each of the programs.
    in_all: BTreeSet<String>,
    /// The fields that are unique in the last of the programs.
    in_last: BTreeSet<String>,
}

impl UniqueFields {
    /// Adds the aggregates of a program. Programs are added in the order of their numbers.
    pub(crate) fn take_in(&mut self, aggregates: &BTreeMap<String, AggregateDeclaration>) {
        for (name, declared) in aggregates {
            let unique = &declared.unique;
            let is_first = !self.0.contains_key(name);
            let known = self.0.entry(name.clone()).or_default();
            known.events.extend(declared.events.iter().cloned());
            known.in_last.clone_from(unique);
            match is_first {
                true => known.in_all.clone_from(unique),
                false => known.in_all.retain(|field| unique.contains(field)),
            }
        }
    }
    /// Returns whether a program has stored such aggregates without reserving the values of this field.
    pub(crate) fn was_not_unique(&self, aggregate: &str, field: &str) -> bool {
        self.0.get(aggregate).is_some_and(|known| !known.in_all.contains(field))
    }
    /// Returns whether the last program with this aggregate has it without this unique field.
    pub(crate) fn is_new(&self, aggregate: &str, field: &str) -> bool {
        self.0.get(aggregate).is_some_and(|known| !known.in_last.contains(field))
    }
    /// Returns the fields of the last program's aggregate that are not among these.
    pub(crate) fn removed(&self, aggregate: &str, fields: &[&str]) -> Vec<String> {
        let known = self.0.get(aggregate).map(|known| &known.in_last).into_iter().flatten();
        known.filter(|field| !fields.contains(&&***field)).cloned().collect()
    }
    /// Returns the names of the events that any program stores for this aggregate.
    pub(crate) fn events(&self, aggregate: &str) -> BTreeSet<String> {
        self.0.get(aggregate).map(|known| known.events.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(events: &[&str], unique: &[&str]) -> BTreeMap<String, AggregateDeclaration> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let aggregate = AggregateDeclaration { events: owned(events), unique: owned(unique), ..Default::default() };
        [("user".to_owned(), aggregate)].into()
    }

    #[test]
    fn a_field_counts_as_not_unique_once_a_program_lacks_it() {
        let mut fields = UniqueFields::default();
        assert!(!fields.was_not_unique("user", "email") && !fields.is_new("user", "email"));
        fields.take_in(&with(&["a"], &["email"]));
        assert!(!fields.was_not_unique("user", "email") && !fields.is_new("user", "email"));
        assert!(fields.was_not_unique("user", "name") && fields.is_new("user", "name"));
        fields.take_in(&with(&["b"], &["name"]));
        assert!(fields.was_not_unique("user", "email") && fields.is_new("user", "email"));
        assert!(fields.was_not_unique("user", "name") && !fields.is_new("user", "name"));
        assert_eq!(fields.removed("user", &["email"]), ["name"]);
        assert_eq!(fields.events("user"), ["a", "b"].map(str::to_owned).into());
        assert!(!fields.was_not_unique("order", "email") && fields.events("order").is_empty());
    }
}
