//! The stored instance of a process.
use crate::{
    Timestamp,
    event::{OutgoingMessage, shard_of},
};
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
    /// The encoded command; empty for one to another service.
    pub(crate) body: String,
    /// The message of a command to another service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remote: Option<RemoteUndo>,
}
impl Undo {
    pub(crate) fn remote(message: OutgoingMessage) -> Self {
        let OutgoingMessage { topic, key, name, content_type, body, shard: _ } = message;
        Undo { command: name, body: String::new(), remote: Some(RemoteUndo { topic, key, content_type, body }) }
    }
}

/// A command to another service that undoes a step, beside its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RemoteUndo {
    topic: String,
    key: String,
    content_type: String,
    body: Vec<u8>,
}
impl RemoteUndo {
    pub(crate) fn message(self, name: String) -> OutgoingMessage {
        let RemoteUndo { topic, key, content_type, body } = self;
        OutgoingMessage { topic, shard: shard_of(&key), key, name, content_type, body }
    }
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
