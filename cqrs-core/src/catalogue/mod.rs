//! The catalogue: what each program of a service stores and handles, as the database remembers it.
//!
//! A program declares itself at its start. The declarations of earlier programs show whether it fits the stored data,
//! and those of later programs show which events it has to leave to them.
mod compare;
mod newer;
mod reserving;
mod stored_forms;
mod unique;
mod withdrawal;

pub(crate) use compare::compare;
pub(crate) use newer::{NOTICED_AFTER, NewerPrograms};
pub(crate) use reserving::{NAMED, Reserving, named};
pub(crate) use stored_forms::StoredForms;
pub(crate) use unique::UniqueFields;
pub(crate) use withdrawal::{Catalogue, ProgramEntry, Withdrawal};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The declaration of a program: its aggregates, views and readers.
///
/// It is stored as JSON. A field that is added later has a default, so that a declaration of any program can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Declaration {
    pub(crate) service: String,
    pub(crate) aggregates: BTreeMap<String, AggregateDeclaration>,
    /// The indexes of each view, with their columns.
    pub(crate) views: BTreeMap<String, BTreeMap<String, String>>,
    /// The names of the events that each reader of the log, and each consumer group, handles.
    pub(crate) readers: BTreeMap<String, BTreeSet<String>>,
    #[serde(deserialize_with = "stored_forms::readable")]
    pub(crate) stored_forms: StoredForms,
    /// The number that the program had until it was withdrawn; 0 if it never was.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) restarted_after: u64,
}
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct AggregateDeclaration {
    /// The version of the events that are stored.
    pub(crate) version: u32,
    pub(crate) is_state_stored: bool,
    /// The state is in a table of one's own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_mapped: bool,
    pub(crate) events: BTreeSet<String>,
    pub(crate) unique: BTreeSet<String>,
}

/// Returns the fingerprint of a set of indexes, each with its columns. The order does not matter.
pub(crate) fn index_set<'a>(indexes: impl IntoIterator<Item = (&'a str, &'a str)>) -> i64 {
    let sorted: BTreeMap<_, _> = indexes.into_iter().collect();
    let mut digest = Sha256::new();
    for (name, columns) in sorted {
        // Neither contains a line break.
        digest.update(format!("{name}\n{columns}\n"));
    }
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = digest.finalize().into();
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

impl Declaration {
    /// Returns the declaration as it is stored. The same program always returns the same text.
    pub(crate) fn to_text(&self) -> String {
        // Maps with text keys and sets of texts can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}
