//! The newest program of the service, as this process knows it: it may handle events that this program does not.
//!
//! During a deploy, replicas of two programs share checkpoints and consumer groups. An event that only the newer one
//! handles is left to it instead of being passed.
use super::Declaration;
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
    /// What the newest program handles, if it is not this one.
    newest: Option<BTreeMap<String, BTreeSet<String>>>,
}

impl NewerPrograms {
    /// Records the number of this program, and the programs after it.
    pub(crate) fn declared(&self, service: &str, own: u64, programs: &[StoredProgram], now: Duration) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *state = State { service: service.to_owned(), own, last: own, ..State::default() };
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
        let programs = storage.programs(self.last()).await?;
        self.0.write().unwrap_or_else(PoisonError::into_inner).take_in(&programs, environment.uptime());
        Ok(self.is_declared_newest())
    }
    /// Returns whether this program was declared and is the newest one, as far as is known.
    pub(crate) fn is_declared_newest(&self) -> bool {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        state.own > 0 && state.newest.is_none()
    }
    /// Returns whether the newest program is another one, and its reader of this name handles the event.
    pub(crate) fn handle(&self, reader: &str, event: &str) -> bool {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let handled = state.newest.as_ref().and_then(|readers| readers.get(reader));
        handled.is_some_and(|names| names.contains(event))
    }
    /// Returns the events that a reader of the newest program handles, if that is another program.
    pub(crate) fn handled_by(&self, reader: &str) -> Vec<String> {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let handled = state.newest.as_ref().and_then(|readers| readers.get(reader));
        handled.map(|names| names.iter().cloned().collect()).unwrap_or_default()
    }
    /// Returns whether this program is the newest one.
    pub(crate) fn is_newest(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).newest.is_none()
    }
}

impl State {
    fn take_in(&mut self, programs: &[StoredProgram], now: Duration) {
        self.read_at = now;
        let known = self.last;
        for program in programs.iter().filter(|program| program.number > known) {
            self.last = program.number;
            // A declaration that cannot be read is of a program that is much newer. Its readers are unknown.
            let declaration: Declaration = serde_json::from_str(&program.declaration).unwrap_or_default();
            if declaration.service == self.service {
                self.newest = Some(declaration.readers);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
