//! The stored instance of a process.
use crate::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// An instance of a process, as it is stored in the table of states.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Instance {
    /// The version of the form of the state.
    pub(crate) version: u32,
    pub(crate) status: Status,
    /// The name of the state.
    pub(crate) state: String,
    /// The state.
    pub(crate) value: Value,
    /// The number of the reaction that has entered the state.
    pub(crate) entered: u64,
    /// The time at which the state was entered, by the clock of the process that decided it.
    pub(crate) since: Timestamp,
    /// The number of reactions.
    pub(crate) steps: u64,
    /// The commands that undo the steps so far, in the order of the steps.
    #[serde(default)]
    pub(crate) undo: Vec<Undo>,
    /// The last commands that were sent, each as the number of the reaction and its own. Some may wait to be carried out.
    #[serde(default)]
    pub(crate) sent: Vec<(u64, usize)>,
    /// The names of the later commands that were set.
    #[serde(default)]
    pub(crate) timers: BTreeSet<String>,
}

/// A command that undoes a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Undo {
    pub(crate) command: String,
    pub(crate) body: String,
}

/// The status of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// It waits for an event or for its deadline.
    Running,
    /// It has ended by itself.
    Ended,
    /// An operator has ended it.
    Cancelled,
}
