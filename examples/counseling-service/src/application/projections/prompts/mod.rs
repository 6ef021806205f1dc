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
