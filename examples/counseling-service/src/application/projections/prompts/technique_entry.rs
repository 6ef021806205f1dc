//! The view of the techniques.
use super::joined;
use crate::domain::{
    counselor::ToneId,
    prompt::{PromptEvent, PromptVersionId, Technique, TechniqueId},
};
use cqrs_core::{Change, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// A technique in a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "counsel-technique", key = TechniqueId)]
#[index(all(deleted_at, created_at, number))]
#[index(by_tone(deleted_at, tone, created_at, number))]
#[index(by_version(version, number))]
#[index(by_version_and_tone(version, tone, number))]
#[index(by_start(deleted_at, start, version, tone))]
pub struct TechniqueEntry {
    pub version: PromptVersionId,
    pub tone: ToneId,
    /// True for the technique that a counsel with this tone starts with.
    pub start: bool,
    pub number: u32,
    pub created_at: Timestamp,
    /// Present when the version is deleted.
    pub deleted_at: Option<Timestamp>,
    pub technique: Technique,
}

impl TechniqueEntry {
    /// Builds the entry of a technique in a version that is not deleted.
    pub fn of(version: PromptVersionId, technique: Technique) -> Self {
        let (number, created_at) = (technique.stamp.number, technique.stamp.created_at);
        let (tone, start) = (technique.spec.tone, technique.spec.start);
        TechniqueEntry { version, tone, start, number, created_at, deleted_at: None, technique }
    }
}

#[projection(name = "counsel-technique")]
fn technique_entry(event: &Recorded<PromptEvent>) -> Change<TechniqueEntry> {
    let version = event.aggregate_id;
    let put = |technique: Technique| {
        let id = technique.id;
        TechniqueEntry::of(version, technique).put(id)
    };
    match event.event.clone() {
        PromptEvent::Created { content, .. } => joined(content.techniques.into_iter().map(put)),
        PromptEvent::TechniqueSet { technique } => put(technique),
        PromptEvent::TechniqueDeleted { technique, .. } => TechniqueEntry::remove(technique),
        PromptEvent::Deleted { parts, at } => {
            let delete = |id| TechniqueEntry::update(id, move |entry| entry.deleted_at = Some(at));
            joined(parts.techniques.into_iter().map(delete))
        }
        PromptEvent::DetailsChanged { .. }
        | PromptEvent::Saved { .. }
        | PromptEvent::Activated { .. }
        | PromptEvent::Deactivated { .. }
        | PromptEvent::PersonaPromptSet { .. }
        | PromptEvent::TonePromptSet { .. }
        | PromptEvent::RuleSet { .. }
        | PromptEvent::RuleDeleted { .. } => Change::none(),
    }
}
