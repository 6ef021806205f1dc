//! A prompt version: everything that tells a language model how to counsel. Counsels keep the one they were opened with.
use crate::domain::counselor::{CounselorId, ToneId};
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};

cqrs_core::id!(
    /// Identifies a prompt version.
    pub PromptVersionId
);
cqrs_core::id!(
    /// Identifies a technique, within all versions.
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
    /// At most one version claims it.
    #[unique]
    active: Option<bool>,
}

/// What a version says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prompts {
    /// Who each counsellor is.
    pub personas: Vec<(CounselorId, String)>,
    /// How each tone sounds.
    pub tones: Vec<(ToneId, String)>,
    /// What a counsel is about at each of its stages.
    pub techniques: Vec<Technique>,
}

/// A stage of a counsel: what it is about and what the counsellor does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Technique {
    /// Its identity.
    pub id: TechniqueId,
    /// For people.
    pub name: String,
    /// With which tone.
    pub tone: ToneId,
    /// What the stage is about.
    pub context: String,
    /// What the counsellor does.
    pub instruction: String,
    /// Whether counsels start with it.
    pub start: bool,
}

/// What happens to a prompt version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "prompt-version", version = 1)]
#[allow(missing_docs, reason = "named for what they hold")]
pub enum PromptEvent {
    /// It came with the program, active.
    Seeded { id: PromptVersionId, name: String, prompts: Prompts, at: Timestamp },
}

impl PromptVersion {
    /// The version that comes with the program.
    pub fn seed(id: PromptVersionId, name: String, prompts: Prompts, at: Timestamp) -> PromptEvent {
        PromptEvent::Seeded { id, name, prompts, at }
    }
    /// What a counsel with this tone starts with.
    pub fn start(&self, tone: ToneId) -> Option<TechniqueId> {
        self.prompts.techniques.iter().find(|it| it.start && it.tone == tone).map(|it| it.id)
    }
}

impl Evolve<PromptEvent> for PromptVersion {
    fn create(event: &PromptEvent) -> Option<Self> {
        let PromptEvent::Seeded { id, name, prompts, .. } = event.clone();
        Some(PromptVersion { id, name, prompts, active: Some(true) })
    }
    fn apply(&mut self, _: &PromptEvent) {}
}
