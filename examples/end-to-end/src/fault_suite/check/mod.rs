//! The checker: evaluates the observations of a run and reports the broken invariants.
mod alarms;
mod answers;
mod effects;
mod log;
mod orders;
mod seen;
mod topic;

pub use orders::have_ended;
pub use seen::{Alarms, Answer, Command, Copied, Crash, Instance, Moved, Orders, Outcome, Posting, Ring, Seen};

use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// A property that must hold in every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Invariant {
    /// No loss: a command with a response is in the log, an event of the log is on the broker, a record there was
    /// applied.
    I1,
    /// No ghost: everything on the broker is in the log; a refused command is nowhere.
    I2,
    /// Order: first occurrences of a key are 1, 2, 3, on the broker and in every consumer.
    I3,
    /// No double effect: nothing is in the log, a projection, the query side or the subscriber's log twice.
    I4,
    /// One partition per key.
    I5,
    /// Duplicates are bounded by the injected faults, and no checkpoint goes back.
    I6,
    /// Every acknowledged message had been applied, checked after each crash of a subscriber.
    I7,
    /// An account's numbers are 1 to n, each returned to one caller; a command's credits are there all or not at all.
    I8,
    /// Everything arrives once the fault is over, calls end at their time limit, and every process ends on SIGTERM.
    I9,
    /// A reader of the log sees all of it, in order, while writers append to it.
    I10,
    /// Nothing is parked without a cause, and nothing stays parked when the cause is gone.
    I11,
    /// An answer of the query side has every credit that its caller has seen, each once, and never a part of a view.
    I12,
    /// A timer is fired once, not before its time, and in the order of its key.
    I13,
    /// A reaction of a process manager is whole: its state, its commands and its deadline. Each command is carried out once, and
    /// each flow comes to one end, with its steps undone if it gives up.
    I14,
}
impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A broken invariant, with the number of violations and one example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    pub invariant: Invariant,
    /// The number of violations.
    pub times: u64,
    /// The first violation.
    pub example: String,
}

/// The result of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// The broken invariants, from I1 to I14.
    pub broken: Vec<Broken>,
    /// The number of events in the log.
    pub events: u64,
    /// The number of events that are missing on the broker or in a consumer, or of returned credits missing in the log.
    pub lost: u64,
    /// The number of effects that happened again.
    pub doubled: u64,
    /// The number of first occurrences after a later one of their key.
    pub inverted: u64,
    /// The number of copies on the broker beyond the first. They are allowed within bounds and must have no effect.
    pub duplicates: u64,
}
impl Findings {
    /// Returns true if the invariant is broken.
    pub fn breaks(&self, invariant: Invariant) -> bool {
        self.broken.iter().any(|broken| broken.invariant == invariant)
    }
}

/// Checks all invariants.
pub fn check(seen: &Seen) -> Findings {
    let mut notes = Notes::default();
    log::check(seen, &mut notes);
    topic::check(seen, &mut notes);
    effects::check(seen, &mut notes);
    answers::check(seen, &mut notes);
    alarms::check(seen, &mut notes);
    orders::check(seen, &mut notes);
    for (invariant, problems) in [(Invariant::I9, &seen.left), (Invariant::I11, &seen.stuck)] {
        for problem in problems {
            notes.broken(invariant, 1, || problem.clone());
        }
    }
    for (invariant, problem) in &seen.observed {
        match invariant {
            Invariant::I1 => notes.lost(|| problem.clone()),
            Invariant::I3 => notes.inverted(|| problem.clone()),
            Invariant::I4 => notes.doubled(1, || problem.clone()),
            other => notes.broken(*other, 1, || problem.clone()),
        }
    }
    let broken = notes.broken.into_iter().map(|(invariant, (times, example))| Broken { invariant, times, example });
    Findings { broken: broken.collect(), events: seen.events() as u64, ..notes.counts }
}

/// Collects the findings during a check.
#[derive(Debug, Default)]
struct Notes {
    broken: BTreeMap<Invariant, (u64, String)>,
    counts: Findings,
}
impl Notes {
    fn broken(&mut self, invariant: Invariant, times: u64, example: impl FnOnce() -> String) {
        if times > 0 {
            self.broken.entry(invariant).or_insert_with(|| (0, example())).0 += times;
        }
    }
    fn lost(&mut self, example: impl FnOnce() -> String) {
        self.counts.lost += 1;
        self.broken(Invariant::I1, 1, example);
    }
    fn doubled(&mut self, times: u64, example: impl FnOnce() -> String) {
        self.counts.doubled += times;
        self.broken(Invariant::I4, times, example);
    }
    fn inverted(&mut self, example: impl FnOnce() -> String) {
        self.counts.inverted += 1;
        self.broken(Invariant::I3, 1, example);
    }
}
