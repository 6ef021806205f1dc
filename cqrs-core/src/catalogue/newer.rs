//! The newest program of the service, as this process knows it: it may handle events that this program does not.
//!
//! During a deploy, replicas of two programs share checkpoints and consumer groups. An event that only the newer one
//! handles is left to it instead of being passed.
use super::{ProgramEntry, UniqueFields, index_set};
use crate::{
    environment::Environment,
    error::Fault,
    storage::{Storage, StoredProgram},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{PoisonError, RwLock},
    time::Duration,
};

/// The time after which every running program has noticed a newer one. The newer one handles and stores nothing before.
pub(crate) const NOTICED_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct NewerPrograms(RwLock<State>);

#[derive(Debug, Default)]
struct State {
    service: String,
    /// The number of this program; 0 before it has declared itself.
    own: u64,
    /// The number of the last program that was read.
    last: u64,
    read_at: Duration,
    /// What each program after this one handles, by its number, without those that were withdrawn.
    newer: BTreeMap<u64, Readers>,
    /// Whether this program was withdrawn.
    is_withdrawn: bool,
    /// The sets of indexes that any program has declared for each view.
    index_sets: BTreeMap<String, BTreeSet<Indexes>>,
    /// The unique fields of the aggregates of all programs.
    unique_fields: UniqueFields,
    /// Whether there is a program whose declaration cannot be read.
    has_unreadable: bool,
}
/// The names of the events that each reader handles.
type Readers = BTreeMap<String, BTreeSet<String>>;
/// The indexes of a view, with their columns.
type Indexes = BTreeMap<String, String>;

impl NewerPrograms {
    /// Records the number of this program, and the programs after it.
    pub(crate) fn declared(&self, service: &str, own: u64, programs: &[StoredProgram], now: Duration) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *state = State { service: service.to_owned(), own, ..State::default() };
        state.take_in(programs, now);
    }
    /// Returns the number of the last program that is known.
    pub(crate) fn last(&self) -> u64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).last
    }
    /// Reads the programs that were declared since the last read, at most once in [`NOTICED_AFTER`].
    pub(crate) async fn refresh(&self, storage: &dyn Storage, environment: &dyn Environment) -> Result<(), Fault> {
        let (own, last, read_at) = {
            let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
            (state.own, state.last, state.read_at)
        };
        let now = environment.uptime();
        if own == 0 || storage.is_exclusive() || now < read_at + NOTICED_AFTER {
            return Ok(());
        }
        let programs = storage.programs(last).await?;
        self.0.write().unwrap_or_else(PoisonError::into_inner).take_in(&programs, now);
        Ok(())
    }
    /// Reads the programs that were declared since the last read, and returns whether this program was declared and is
    /// the newest one.
    pub(crate) async fn read(&self, storage: &dyn Storage, environment: &dyn Environment) -> Result<bool, Fault> {
        let now = environment.uptime();
        let programs = storage.programs(self.last()).await?;
        self.0.write().unwrap_or_else(PoisonError::into_inner).take_in(&programs, now);
        Ok(self.is_declared_newest())
    }
    /// Returns whether this program was declared and is the newest one, as far as is known.
    pub(crate) fn is_declared_newest(&self) -> bool {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        state.own > 0 && state.newer.is_empty()
    }
    /// Returns whether the newest program is another one, and its reader of this name handles the event.
    pub(crate) fn handle(&self, reader: &str, event: &str) -> bool {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let handled = state.newest().and_then(|readers| readers.get(reader));
        handled.is_some_and(|names| names.contains(event))
    }
    /// Returns the events that a reader of the newest program handles, if that is another program.
    pub(crate) fn handled_by(&self, reader: &str) -> Vec<String> {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let handled = state.newest().and_then(|readers| readers.get(reader));
        handled.map(|names| names.iter().cloned().collect()).unwrap_or_default()
    }
    /// Returns the fingerprints of the declared sets of indexes that include these, or `None` if every program that has
    /// the view has these indexes. Then every value has their entries.
    pub(crate) fn index_sets_with(&self, view: &str, indexes: &[(&str, &str)]) -> Option<Vec<i64>> {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let declared = state.index_sets.get(view)?;
        let has_all = |declared: &&Indexes| {
            indexes.iter().all(|(name, columns)| declared.get(*name).is_some_and(|declared| declared == columns))
        };
        let with: Vec<_> = declared.iter().filter(has_all).collect();
        if with.len() == declared.len() && !state.has_unreadable {
            return None;
        }
        let texts = |indexes: &Indexes| index_set(indexes.iter().map(|(name, columns)| (&**name, &**columns)));
        Some(with.into_iter().map(texts).collect())
    }
    /// Returns the fingerprints of all declared sets of indexes of a view.
    pub(crate) fn index_sets(&self, view: &str) -> Vec<i64> {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let texts = |indexes: &Indexes| index_set(indexes.iter().map(|(name, columns)| (&**name, &**columns)));
        state.index_sets.get(view).map(|declared| declared.iter().map(texts).collect()).unwrap_or_default()
    }
    /// Returns whether a program has stored such aggregates without reserving the values of this field, as far as is
    /// known.
    pub(crate) fn was_not_unique(&self, aggregate: &str, field: &str) -> bool {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        state.has_unreadable || state.unique_fields.was_not_unique(aggregate, field)
    }
    /// Returns the names of the events that any program stores for this aggregate.
    pub(crate) fn events_of(&self, aggregate: &str) -> BTreeSet<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).unique_fields.events(aggregate)
    }
    /// Returns whether this program is the newest one.
    pub(crate) fn is_newest(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).newer.is_empty()
    }
    /// Returns whether this program was withdrawn although it runs.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_withdrawn
    }
}

impl State {
    /// Returns what the newest program handles, if that is not this one.
    fn newest(&self) -> Option<&Readers> {
        self.newer.last_key_value().map(|(_, readers)| readers)
    }
    fn take_in(&mut self, programs: &[StoredProgram], now: Duration) {
        self.read_at = now;
        let known = self.last;
        for program in programs.iter().filter(|program| program.number > known) {
            self.last = program.number;
            match ProgramEntry::of(&program.declaration) {
                // A declaration that cannot be read is of a program that is much newer. Its readers and indexes are unknown.
                ProgramEntry::Unreadable => self.has_unreadable = true,
                ProgramEntry::Declared(declaration) if declaration.service == self.service => {
                    self.unique_fields.take_in(&declaration.aggregates);
                    for (view, indexes) in declaration.views {
                        self.index_sets.entry(view).or_default().insert(indexes);
                    }
                    if program.number > self.own {
                        self.newer.insert(program.number, declaration.readers);
                    }
                }
                // The values that it has written remain, so its sets of indexes count.
                ProgramEntry::Withdrawn(withdrawal) if withdrawal.service == self.service => {
                    self.newer.remove(&withdrawal.withdrawn_program);
                    self.is_withdrawn |= withdrawal.withdrawn_program == self.own;
                }
                ProgramEntry::Declared(_) | ProgramEntry::Withdrawn(_) => (),
            }
        }
        self.last = self.last.max(self.own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{AggregateDeclaration, Declaration, Withdrawal};

    fn program(number: u64, service: &str, event: &str) -> StoredProgram {
        let readers = BTreeMap::from([("r".to_owned(), BTreeSet::from([event.to_owned()]))]);
        let declaration = Declaration { service: service.into(), readers, ..Declaration::default() };
        StoredProgram { number, declaration: declaration.to_text() }
    }

    #[test]
    fn the_newest_program_of_the_service_decides() {
        let newer = NewerPrograms::default();
        let programs = [program(1, "s", "a"), program(2, "s", "b"), program(3, "s", "c"), program(4, "other", "d")];
        newer.declared("s", 3, &programs, Duration::ZERO);
        assert!(newer.is_newest() && !newer.handle("r", "b") && !newer.handle("r", "d"));
        newer.declared("s", 1, &programs, Duration::ZERO);
        assert!(!newer.is_newest() && newer.handle("r", "c"));
        assert!(!newer.handle("r", "b") && !newer.handle("q", "c"));
    }

    #[test]
    fn a_withdrawn_program_is_no_newer_one() {
        let newer = NewerPrograms::default();
        let withdrawal_by = |service: &str, number, withdrawn_program| StoredProgram {
            number,
            declaration: Withdrawal { service: service.into(), withdrawn_program }.to_text(),
        };
        let withdrawal = |number, withdrawn_program| withdrawal_by("s", number, withdrawn_program);
        newer.declared("s", 1, &[program(1, "s", "a"), program(2, "s", "b"), program(3, "s", "c")], Duration::ZERO);
        assert!(newer.handle("r", "c") && !newer.handle("r", "b"));
        let take_in = |entry| newer.0.write().expect("no test panics here").take_in(&[entry], Duration::ZERO);
        take_in(withdrawal_by("other", 4, 3));
        assert!(newer.handle("r", "c"), "another service withdraws none of these programs");
        take_in(withdrawal(5, 3));
        assert!(newer.handle("r", "b") && !newer.handle("r", "c") && !newer.is_newest());
        take_in(withdrawal(6, 2));
        assert!(!newer.handle("r", "b") && newer.is_newest() && !newer.is_withdrawn());
        take_in(program(7, "s", "b"));
        assert!(newer.handle("r", "b") && !newer.is_newest());
        take_in(withdrawal(8, 1));
        assert!(newer.is_withdrawn());
    }

    #[test]
    fn the_unique_fields_and_events_of_every_program_count() {
        let program = |number, event: &str, unique: &[&str]| {
            let unique = unique.iter().map(|field| (*field).to_owned()).collect();
            let aggregate = AggregateDeclaration { events: [event.to_owned()].into(), unique, ..Default::default() };
            let aggregates = BTreeMap::from([("user".to_owned(), aggregate)]);
            let declaration = Declaration { service: "s".into(), aggregates, ..Declaration::default() };
            StoredProgram { number, declaration: declaration.to_text() }
        };
        let newer = NewerPrograms::default();
        newer.declared("s", 2, &[program(1, "a", &["email"]), program(2, "b", &["email", "name"])], Duration::ZERO);
        assert!(!newer.was_not_unique("user", "email") && newer.was_not_unique("user", "name"));
        assert_eq!(newer.events_of("user"), ["a", "b"].map(str::to_owned).into());
        assert!(newer.events_of("order").is_empty());
        let unreadable = StoredProgram { number: 3, declaration: "of another form".into() };
        newer.0.write().expect("no test panics here").take_in(&[unreadable], Duration::ZERO);
        assert!(newer.was_not_unique("user", "email"), "a program whose declaration cannot be read may lack the field");
    }

    #[test]
    fn the_sets_of_indexes_of_every_program_count() {
        let program = |number, indexes: &[(&str, &str)]| {
            let owned = indexes.iter().map(|(name, columns)| ((*name).to_owned(), (*columns).to_owned()));
            let views = BTreeMap::from([("v".to_owned(), owned.collect())]);
            let declaration = Declaration { service: "s".into(), views, ..Declaration::default() };
            StoredProgram { number, declaration: declaration.to_text() }
        };
        let (by_a, both) = ([("by_a", "a")], [("by_a", "a"), ("by_b", "-b")]);
        let newer = NewerPrograms::default();
        newer.declared("s", 2, &[program(1, &by_a), program(2, &both)], Duration::ZERO);
        assert_eq!(newer.index_sets_with("v", &by_a), None);
        assert_eq!(newer.index_sets_with("v", &both), Some(vec![index_set(both)]));
        assert_eq!(newer.index_sets_with("v", &[("by_b", "b")]), Some(vec![]));
        assert_eq!(newer.index_sets_with("another", &both), None);
        let later = [program(1, &by_a), program(2, &both), program(3, &[])];
        newer.declared("s", 1, &later, Duration::ZERO);
        let mut with_a = newer.index_sets_with("v", &by_a).expect("the last program lacks the index");
        with_a.sort_unstable();
        let mut expected = [index_set(by_a), index_set(both)];
        expected.sort_unstable();
        assert_eq!(with_a, expected);
        assert_ne!(index_set(by_a), index_set(both));
    }
}
