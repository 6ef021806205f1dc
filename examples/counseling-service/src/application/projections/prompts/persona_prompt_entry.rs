//! The view of the prompts of counsellors.
use super::{put_all, update_all};
use crate::domain::{
    counselor::CounselorId,
    prompt::{PersonaPrompt, PersonaPromptId, PromptEvent, PromptVersionId},
};
use cqrs_core::{Change, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// The prompt of a counselor in a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "persona-prompt", key = PersonaPromptId)]
#[index(all(deleted_at, created_at, number))]
#[index(by_counselor(deleted_at, counselor, created_at, number))]
#[index(by_version(version, number))]
#[index(by_version_and_counselor(version, counselor))]
pub struct PersonaPromptEntry {
    pub version: PromptVersionId,
    pub counselor: CounselorId,
    pub number: u32,
    pub created_at: Timestamp,
    /// Present when the version is deleted.
    pub deleted_at: Option<Timestamp>,
    pub prompt: PersonaPrompt,
}

impl PersonaPromptEntry {
    /// Builds the entry of a prompt in a version that is not deleted.
    pub fn of(version: PromptVersionId, prompt: PersonaPrompt) -> Self {
        let (number, created_at) = (prompt.stamp.number, prompt.stamp.created_at);
        PersonaPromptEntry { version, counselor: prompt.counselor, number, created_at, deleted_at: None, prompt }
    }
}

#[projection(name = "persona-prompt")]
fn persona_prompt_entry(event: &Recorded<PromptEvent>) -> Change<PersonaPromptEntry> {
    let version = event.aggregate_id;
    let row = |prompt: PersonaPrompt| (prompt.id, PersonaPromptEntry::of(version, prompt));
    match event.event.clone() {
        PromptEvent::Created { content, .. } => put_all(content.personas.into_iter().map(row)),
        PromptEvent::PersonaPromptSet { prompt } => put_all([row(prompt)]),
        PromptEvent::Deleted { parts, at } => {
            update_all(parts.personas, move |row: &mut PersonaPromptEntry| row.deleted_at = Some(at))
        }
        PromptEvent::DetailsChanged { .. }
        | PromptEvent::Saved { .. }
        | PromptEvent::Activated { .. }
        | PromptEvent::Deactivated { .. }
        | PromptEvent::TonePromptSet { .. }
        | PromptEvent::TechniqueSet { .. }
        | PromptEvent::TechniqueDeleted { .. }
        | PromptEvent::RuleSet { .. }
        | PromptEvent::RuleDeleted { .. } => Change::none(),
    }
}
