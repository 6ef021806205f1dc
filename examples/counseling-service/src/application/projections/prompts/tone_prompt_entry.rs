//! The view of the prompts of tones.
use super::{put_all, update_all};
use crate::domain::{
    counselor::ToneId,
    prompt::{PromptEvent, PromptVersionId, TonePrompt, TonePromptId},
};
use cqrs_core::{Change, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// The prompt of a tone in a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "tone-prompt", key = TonePromptId)]
#[index(all(deleted_at, created_at, number))]
#[index(by_tone(deleted_at, tone, created_at, number))]
#[index(by_version(version, number))]
#[index(by_version_and_tone(version, tone))]
pub struct TonePromptEntry {
    pub version: PromptVersionId,
    pub tone: ToneId,
    pub number: u32,
    pub created_at: Timestamp,
    /// Present when the version is deleted.
    pub deleted_at: Option<Timestamp>,
    pub prompt: TonePrompt,
}

impl TonePromptEntry {
    /// Builds the entry of a prompt in a version that is not deleted.
    pub fn of(version: PromptVersionId, prompt: TonePrompt) -> Self {
        let (number, created_at) = (prompt.stamp.number, prompt.stamp.created_at);
        TonePromptEntry { version, tone: prompt.tone, number, created_at, deleted_at: None, prompt }
    }
}

#[projection(name = "tone-prompt")]
fn tone_prompt_entry(event: &Recorded<PromptEvent>) -> Change<TonePromptEntry> {
    let version = event.aggregate_id;
    let row = |prompt: TonePrompt| (prompt.id, TonePromptEntry::of(version, prompt));
    match event.event.clone() {
        PromptEvent::Created { content, .. } => put_all(content.tones.into_iter().map(row)),
        PromptEvent::TonePromptSet { prompt } => put_all([row(prompt)]),
        PromptEvent::Deleted { parts, at } => {
            update_all(parts.tones, move |row: &mut TonePromptEntry| row.deleted_at = Some(at))
        }
        PromptEvent::DetailsChanged { .. }
        | PromptEvent::Saved { .. }
        | PromptEvent::Activated { .. }
        | PromptEvent::Deactivated { .. }
        | PromptEvent::PersonaPromptSet { .. }
        | PromptEvent::TechniqueSet { .. }
        | PromptEvent::TechniqueDeleted { .. }
        | PromptEvent::RuleSet { .. }
        | PromptEvent::RuleDeleted { .. } => Change::none(),
    }
}
