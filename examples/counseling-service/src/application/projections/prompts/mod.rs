//! The read models of prompts: the versions, their activations, and a row for each part of a version.
//!
//! A part is listed by version also after the version was deleted, because counsels may be pinned to it. Lists over all
//! versions leave such parts out.
mod activation_entry;
mod persona_prompt_entry;
mod rule_entry;
mod technique_entry;
mod tone_prompt_entry;
mod version_summary;

pub use activation_entry::ActivationEntry;
pub use persona_prompt_entry::PersonaPromptEntry;
pub use rule_entry::RuleEntry;
pub use technique_entry::TechniqueEntry;
pub use tone_prompt_entry::TonePromptEntry;
pub use version_summary::VersionSummary;

use cqrs_core::{Change, View};

/// Joins the changes of several rows into one.
fn joined<V: View>(changes: impl IntoIterator<Item = Change<V>>) -> Change<V> {
    changes.into_iter().fold(Change::none(), Change::then)
}

/// Stores rows, each under its key.
fn put_all<V: View>(rows: impl IntoIterator<Item = (V::Key, V)>) -> Change<V> {
    joined(rows.into_iter().map(|(key, row)| row.put(key)))
}

/// Alters the rows under these keys in the same way.
fn update_all<V: View>(
    keys: impl IntoIterator<Item = V::Key>,
    change: impl FnOnce(&mut V) + Clone + Send + 'static,
) -> Change<V> {
    joined(keys.into_iter().map(|key| V::update(key, change.clone())))
}
