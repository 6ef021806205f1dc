//! The checker: everything that was seen of a run, and which invariants it breaks. It knows nothing of how it was seen.
mod effects;
mod log;
mod seen;
mod topic;

pub use seen::{Command, Copied, Crash, Outcome, Posting, Seen};

use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// What must hold of every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Invariant {
    /// No loss: what was answered is in the log, what is in the log is on the broker, what is there was applied.
    I1,
    /// No ghost: what is on the broker is in the log; what was refused is nowhere.
    I2,
    /// Order: first occurrences of a key are 1, 2, 3, on the broker and where they are applied.
    I3,
    /// No double effect.
    I4,
    /// One partition per key.
    I5,
    /// Duplicates are bounded by what was disturbed, and a cursor never goes back.
    I6,
    /// What is acknowledged has been applied, after every crash.
    I7,
    /// A stream's versions are 1 to n, each answered to one caller, and a command's events are there all or not at all.
    I8,
    /// Everything arrives in the end, and everything ends when asked.
    I9,
    /// A reader of the feed beside the writers sees the log, all of it, in order.
    I10,
}
impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// An invariant that is broken: how often, and one place where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Which.
    pub invariant: Invariant,
    /// How often.
    pub times: u64,
    /// The first place.
    pub example: String,
}

/// What the checker says of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// What is broken, in the invariants' order.
    pub broken: Vec<Broken>,
    /// How many events the log holds.
    pub events: u64,
    /// Events that are not where they must have arrived.
    pub lost: u64,
    /// Effects that happened again.
    pub doubled: u64,
    /// First occurrences after a later one of their key.
    pub inverted: u64,
    /// Copies on the broker beyond the first: allowed within bounds, and without effect.
    pub duplicates: u64,
}
impl Findings {
    /// Whether this invariant is broken.
    pub fn breaks(&self, invariant: Invariant) -> bool {
        self.broken.iter().any(|it| it.invariant == invariant)
    }
}

/// Looks at everything that was seen.
pub fn check(seen: &Seen) -> Findings {
    let mut notes = Notes::default();
    log::check(seen, &mut notes);
    topic::check(seen, &mut notes);
    effects::check(seen, &mut notes);
    for what in &seen.left {
        notes.broken(Invariant::I9, 1, || what.clone());
    }
    let broken = notes.broken.into_iter().map(|(invariant, (times, example))| Broken { invariant, times, example });
    Findings { broken: broken.collect(), events: seen.log.len() as u64, ..notes.counts }
}

/// What is found on the way.
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
