//! The view of a version's prompts, for composing replies and for finding the active version.
use crate::domain::prompt::{PromptEvent, PromptVersionId, Prompts};
use cqrs_core::{Change, Recorded, View, projection};
use serde::{Deserialize, Serialize};

/// The prompts of a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "prompt-set", key = PromptVersionId)]
#[index(by_active(active))]
pub struct PromptSet {
    pub id: PromptVersionId,
    pub active: bool,
    pub prompts: Prompts,
}

#[projection(name = "prompt-set")]
fn prompt_set(event: &Recorded<PromptEvent>) -> Change<PromptSet> {
    let id = event.aggregate_id;
    let PromptEvent::Seeded { prompts, .. } = event.event.clone();
    PromptSet { id, active: true, prompts }.put(id)
}
