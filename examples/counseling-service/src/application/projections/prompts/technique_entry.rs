//! The view of the techniques.
use super::{put_all, update_all};
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
    let row = |technique: Technique| (technique.id, TechniqueEntry::of(version, technique));
    match event.event.clone() {
        PromptEvent::Created { content, .. } => put_all(content.techniques.into_iter().map(row)),
        PromptEvent::TechniqueSet { technique } => put_all([row(technique)]),
        PromptEvent::TechniqueDeleted { technique, .. } => TechniqueEntry::remove(technique),
        PromptEvent::Deleted { parts, at } => {
            update_all(parts.techniques, move |row: &mut TechniqueEntry| row.deleted_at = Some(at))
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
