//! The comparison of a program's declaration with those of earlier programs.
use super::{AggregateDeclaration, Declaration, stored_forms};
use crate::storage::StoredData;

/// A difference to an earlier program, which is a mistake if the database has such data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) data: StoredData,
    /// What does not fit, and what to do.
    pub(crate) problem: String,
}

/// Returns the differences between a program that starts for the first time and the programs before it, oldest first.
pub(crate) fn compare(program: &Declaration, earlier: &[Declaration]) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    let mut add = |data, problem| misfits.push(Misfit { data, problem });
    for (name, aggregate) in &program.aggregates {
        let known = || earlier.iter().rev().filter_map(|earlier| earlier.aggregates.get(name));
        let Some(last) = known().next() else { continue };
        let data = || StoredData::Aggregate(name.clone());
        let (stored, now) = (persistence(last), persistence(aggregate));
        if stored != now {
            add(
                data(),
                format!(
                    "aggregate `{name}` is stored as `{stored}`, and this program has it as `{now}`: the stored ones \
                     would be stale or not found; keep `{stored}`, or give the aggregate another name"
                ),
            );
        }
        if let Some(version) = known().map(|known| known.version).max().filter(|version| *version > aggregate.version) {
            add(
                data(),
                format!(
                    "events of aggregate `{name}` may be stored in version {version}, and this program reads up to \
                     version {}: raise its `version`, and read both forms",
                    aggregate.version
                ),
            );
        }
        let mut names: Vec<_> = known().flat_map(|earlier| earlier.events.difference(&aggregate.events)).collect();
        names.sort_unstable();
        names.dedup();
        for event in names {
            add(
                StoredData::Event(event.clone()),
                format!(
                    "the log has events `{event}` of aggregate `{name}`, and this program cannot read them: keep the \
                     variant; if it was renamed, write `#[event(name = \"{event}\")]` and `#[serde(rename = \"...\")]` with its \
                     former name on it"
                ),
            );
        }
    }
    for (name, indexes) in &program.views {
        let known = || earlier.iter().filter_map(|earlier| earlier.views.get(name));
        for (index, columns) in indexes {
            let Some(before) = known().filter_map(|known| known.get(index)).find(|before| *before != columns) else {
                continue;
            };
            add(
                StoredData::View(name.clone()),
                format!(
                    "index `{index}` of view `{name}` has the columns ({columns}), and ({before}) before: a page would \
                     mix both orders; give the index another name, and the start fills it in"
                ),
            );
        }
    }
    misfits.extend(stored_forms::compare(program, earlier));
    misfits
}

fn persistence(aggregate: &AggregateDeclaration) -> &'static str {
    match (aggregate.is_mapped, aggregate.is_state_stored) {
        (true, _) => "Mapped",
        (false, true) => "StateStored",
        (false, false) => "EventSourced",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(events: &[&str], unique: &[&str], is_state_stored: bool, index: &str) -> Declaration {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (events, unique) = (owned(events), owned(unique));
        let aggregate = AggregateDeclaration { version: 1, is_state_stored, is_mapped: false, events, unique };
        Declaration {
            service: "bank".into(),
            aggregates: [("account".to_owned(), aggregate)].into(),
            views: [("balance".to_owned(), [("by_owner".to_owned(), index.to_owned())].into())].into(),
            ..Declaration::default()
        }
    }
    fn data(program: &Declaration, earlier: &[Declaration]) -> Vec<StoredData> {
        compare(program, earlier).into_iter().map(|misfit| misfit.data).collect()
    }

    #[test]
    fn a_program_without_a_past_and_an_addition_fit() {
        let first = program(&["opened"], &["iban"], true, "owner");
        assert_eq!(data(&first, &[]), []);
        assert_eq!(data(&program(&["opened", "closed"], &[], true, "owner"), &[first]), []);
    }

    #[test]
    fn each_change_that_stored_data_contradicts_is_found() {
        let first = [program(&["opened"], &[], true, "owner")];
        let (account, balance) = (StoredData::Aggregate("account".into()), StoredData::View("balance".into()));
        assert_eq!(data(&program(&["opened"], &["iban"], true, "owner"), &first), []);
        assert_eq!(data(&program(&["opened"], &[], false, "owner"), &first), std::slice::from_ref(&account));
        for is_state_stored in [true, false] {
            let before = [program(&["opened"], &[], is_state_stored, "owner")];
            let mut mapped = program(&["opened"], &[], false, "owner");
            mapped.aggregates.get_mut("account").expect("it was added").is_mapped = true;
            assert_eq!(data(&mapped, &before), std::slice::from_ref(&account));
            assert_eq!(data(&before[0], &[mapped]), std::slice::from_ref(&account));
        }
        assert_eq!(data(&program(&["opened"], &[], true, "-owner"), &first), [balance]);
        assert_eq!(data(&program(&[], &[], true, "owner"), &first), [StoredData::Event("opened".into())]);
    }

    #[test]
    fn a_lower_version_of_the_events_is_found() {
        let first = program(&["opened"], &[], true, "owner");
        let mut second = first.clone();
        second.aggregates.get_mut("account").expect("it was added").version = 2;
        assert_eq!(data(&second, std::slice::from_ref(&first)), []);
        assert_eq!(data(&first, &[first.clone(), second]), [StoredData::Aggregate("account".into())]);
    }

    #[test]
    fn an_event_name_of_any_earlier_program_counts_and_each_once() {
        let programs = [program(&["a", "b"], &[], true, "o"), program(&["a"], &[], true, "o")];
        let found = data(&program(&["c"], &[], true, "o"), &programs);
        assert_eq!(found, [StoredData::Event("a".into()), StoredData::Event("b".into())]);
    }
}
