//! The prompts of a version, for composing replies and for finding the active one.
use crate::domain::prompt::{PromptEvent, PromptVersionId, Prompts};
use cqrs_core::{Change, View, projection};
use serde::{Deserialize, Serialize};

/// The prompts of a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "prompt-card", key = PromptVersionId)]
#[index(by_active(active))]
#[allow(missing_docs, reason = "named for what they hold")]
pub struct PromptCard {
    pub id: PromptVersionId,
    pub active: bool,
    pub prompts: Prompts,
}

/// Keeps it.
#[projection(name = "prompt-card")]
fn prompt_card(event: &PromptEvent) -> Change<PromptCard> {
    let PromptEvent::Seeded { id, prompts, .. } = event.clone();
    PromptCard { id, active: true, prompts }.put(id)
}
