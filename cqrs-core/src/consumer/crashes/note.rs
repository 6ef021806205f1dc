//! The note of a member about its attempts: the partitions that it holds, and the messages that it tries.
use crate::error::Fault;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The note of one member, by partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note(pub(super) BTreeMap<String, Holding>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holding {
    /// Set until the member gives up the partition.
    pub(super) held: bool,
    /// The messages that are being tried.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) trying: BTreeSet<Uuid>,
    /// The number of times that a process has ended while it tried the message.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) crashes: BTreeMap<Uuid, u32>,
    /// Changes while messages are tried, where several members that are alive can hold the partition.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) beats: u64,
}

impl Holding {
    /// Adds the knowledge of another member. If it has died, that counts for each message which it tried. A claim that is
    /// taken over twice, because the first time failed half-way, counts once.
    pub(super) fn take_over(&mut self, mut other: Holding, has_died: bool) {
        if has_died {
            for message in other.trying {
                *other.crashes.entry(message).or_default() += 1;
            }
        }
        for (message, crashes) in other.crashes {
            let count = self.crashes.entry(message).or_default();
            *count = crashes.max(*count);
        }
    }
}

/// Returns the stored form of a note; a note without partitions is removed.
pub(super) fn text(note: &Note) -> Result<Option<String>, Fault> {
    if note.0.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(note).map(Some).map_err(|error| Fault::internal("a note cannot be encoded").because(error))
}
pub(super) fn parse(name: &str, value: &str) -> Option<Note> {
    let parsed = serde_json::from_str(value);
    if let Err(error) = &parsed {
        tracing::warn!(note = name, %error, "a stored note on attempts cannot be read; its crashes are not counted");
    }
    parsed.ok()
}
fn is_zero(beats: &u64) -> bool {
    *beats == 0
}
