//! The view of the activations: which version new counsels used, and from when.
use crate::domain::prompt::{ActivationId, PromptEvent, PromptVersionId};
use cqrs_core::{Change, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// One activation of a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "prompt-activation", key = ActivationId)]
#[index(newest(-activated_at))]
#[index(by_version(version, -activated_at))]
pub struct ActivationEntry {
    pub id: ActivationId,
    pub version: PromptVersionId,
    pub activated_at: Timestamp,
}

#[projection(name = "prompt-activation")]
fn activation_entry(event: &Recorded<PromptEvent>) -> Change<ActivationEntry> {
    let version = event.aggregate_id;
    match event.event {
        PromptEvent::Activated { activation, at } => {
            ActivationEntry { id: activation, version, activated_at: at }.put(activation)
        }
        PromptEvent::Created { .. }
        | PromptEvent::DetailsChanged { .. }
        | PromptEvent::Saved { .. }
        | PromptEvent::Deactivated { .. }
        | PromptEvent::Deleted { .. }
        | PromptEvent::PersonaPromptSet { .. }
        | PromptEvent::TonePromptSet { .. }
        | PromptEvent::TechniqueSet { .. }
        | PromptEvent::TechniqueDeleted { .. }
        | PromptEvent::RuleSet { .. }
        | PromptEvent::RuleDeleted { .. } => Change::none(),
    }
}
