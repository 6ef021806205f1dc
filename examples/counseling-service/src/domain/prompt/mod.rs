//! A prompt version: all prompts that instruct a language model. A counsel keeps the version that it was opened with.
use crate::domain::counselor::{CounselorId, ToneId};
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};

cqrs_core::id!(
    /// Identifies a prompt version.
    pub PromptVersionId
);
cqrs_core::id!(
    /// Identifies a technique across all versions.
    pub TechniqueId
);

/// A snapshot of all prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "prompt-version", event = PromptEvent)]
pub struct PromptVersion {
    #[id]
    id: PromptVersionId,
    name: String,
    prompts: Prompts,
    /// `Some(true)` on the active version; unique, so at most one version is active.
    #[unique]
    active: Option<bool>,
}

/// The prompts of a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prompts {
    /// The description of each counsellor.
    pub personas: Vec<(CounselorId, String)>,
    /// The description of each tone.
    pub tones: Vec<(ToneId, String)>,
    /// The techniques: one for each phase of a counsel and tone.
    pub techniques: Vec<Technique>,
}

/// A phase of a counsel: its subject and the counsellor's task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Technique {
    pub id: TechniqueId,
    /// A name for people; nothing depends on it.
    pub name: String,
    /// The tone that it is written for.
    pub tone: ToneId,
    /// The subject of the phase.
    pub context: String,
    /// The counsellor's task.
    pub instruction: String,
    /// True for the technique that a counsel starts with.
    pub start: bool,
}

/// The events of a prompt version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "prompt-version", version = 1)]
pub enum PromptEvent {
    /// The version was created at start-up, as the active one.
    Seeded { name: String, prompts: Prompts, at: Timestamp },
}

impl PromptVersion {
    /// Creates the version that ships with the program.
    pub fn seed(name: String, prompts: Prompts, at: Timestamp) -> PromptEvent {
        PromptEvent::Seeded { name, prompts, at }
    }
    /// Returns the technique that a counsel with this tone starts with.
    pub fn start(&self, tone: ToneId) -> Option<TechniqueId> {
        self.prompts
            .techniques
            .iter()
            .find(|technique| technique.start && technique.tone == tone)
            .map(|technique| technique.id)
    }
}

impl Evolve<PromptEvent> for PromptVersion {
    fn create(id: PromptVersionId, event: &PromptEvent) -> Option<Self> {
        let PromptEvent::Seeded { name, prompts, .. } = event.clone();
        Some(PromptVersion { id, name, prompts, active: Some(true) })
    }
    fn apply(&mut self, _: &PromptEvent) {}
}
