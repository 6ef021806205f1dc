//! Timers in memory.
use crate::{
    Timestamp,
    storage::{
        CommitError, DueTime, DueTimers, Firing, NewTimer, Timer, TimerChange, TimerCounts, TimerPage, TimerState,
        TimerWrite,
        timer::{before_all, stored_metadata},
    },
};
use chrono::{SubsecRound, TimeDelta};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::Bound::{Excluded, Unbounded},
    time::Duration,
};
use uuid::Uuid;

/// The timers in the order in which they are due.
#[derive(Default)]
pub(super) struct Timers {
    by_due: BTreeMap<Firing, Timer>,
    by_name: HashMap<String, Firing>,
    failed: BTreeSet<Firing>,
}
impl Timers {
    /// Refuses a batch that is the effect of a timer which was fired, replaced or cancelled meanwhile.
    pub(super) fn refuse(&self, writes: &[TimerWrite]) -> Result<(), CommitError> {
        let is_stored =
            |write: &TimerWrite| write.fired.is_none_or(|fired| self.by_name.get(&write.name) == Some(&fired));
        match writes.iter().find(|write| !is_stored(write)) {
            Some(write) => Err(CommitError::Moved(format!("timer {}", write.name))),
            None => Ok(()),
        }
    }
    /// Applies the writes of a batch that was not refused.
    pub(super) fn apply(&mut self, writes: Vec<TimerWrite>, now: Timestamp) {
        for TimerWrite { name, change, .. } in writes {
            let former = self.take(&name);
            match change {
                TimerChange::Set(new) => self.add(set(name, new, now)),
                TimerChange::Remove => (),
                TimerChange::Update { due, error } => {
                    if let Some(timer) = former {
                        self.add(Timer { due: due.trunc_subsecs(6), error, ..timer });
                    }
                }
            }
        }
    }
    fn take(&mut self, name: &str) -> Option<Timer> {
        let place = self.by_name.remove(name)?;
        self.failed.remove(&place);
        self.by_due.remove(&place)
    }
    fn add(&mut self, timer: Timer) {
        let place = timer.firing();
        self.by_name.insert(timer.name.clone(), place);
        if timer.error.is_some() {
            self.failed.insert(place);
        }
        self.by_due.insert(place, timer);
    }
    fn after(&self, place: Option<Firing>) -> impl Iterator<Item = &Timer> {
        self.by_due.range((Excluded(place.unwrap_or_else(before_all)), Unbounded)).map(|(_, timer)| timer)
    }
    pub(super) fn due(&self, after: Option<Firing>, now: Timestamp, limit: usize) -> DueTimers {
        let now = now.trunc_subsecs(6);
        let held: HashSet<_> = self.failed.iter().filter_map(|place| Some(&*self.by_due.get(place)?.key)).collect();
        let due = self.after(after).take_while(|timer| timer.due <= now).filter(|timer| !held.contains(&*timer.key));
        let timers = due.take(limit).cloned().collect();
        let next = self.after(Some(Firing { due: now, id: Uuid::max() })).next().map(|timer| timer.due);
        DueTimers { now, timers, next }
    }
    pub(super) fn page(&self, page: &TimerPage<'_>, now: Timestamp) -> Vec<Timer> {
        let is_listed = |timer: &&Timer| {
            let is_in_state = match page.state {
                TimerState::All => true,
                TimerState::Overdue => timer.due <= now && timer.error.is_none(),
                TimerState::Failed => timer.error.is_some(),
            };
            is_in_state && page.name.is_none_or(|name| name == timer.name)
        };
        self.after(page.after).filter(is_listed).take(page.limit).cloned().collect()
    }
    pub(super) fn counts(&self, now: Timestamp, limit: usize) -> TimerCounts {
        let counted = |count: usize| count.min(limit) as u64;
        let waiting = self.after(Some(Firing { due: now, id: Uuid::max() })).take(limit).count();
        let overdue = || self.after(None).take_while(|timer| timer.due <= now).filter(|timer| timer.error.is_none());
        let since = overdue().next().map(|timer| (now - timer.due).to_std().unwrap_or_default());
        TimerCounts {
            waiting: counted(waiting),
            overdue: counted(overdue().take(limit).count()),
            failed: counted(self.failed.len()),
            overdue_for: since.unwrap_or(Duration::ZERO),
        }
    }
}

fn set(name: String, new: NewTimer, now: Timestamp) -> Timer {
    let NewTimer { id, due, key, command, body, metadata, calendar, set_by } = new;
    let due = match due {
        DueTime::At(at) => at,
        DueTime::After(wait) => now + TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX),
    };
    let (due, set_at, metadata) = (due.trunc_subsecs(6), now.trunc_subsecs(6), stored_metadata(metadata));
    Timer { name, id, due, key, command, body, metadata, calendar, set_by, set_at, error: None }
}
