//! The command that seeds the built-in prompt version; an existing version is left unchanged.
use super::desk::Desk;
use crate::domain::{
    counselor::{CounselorId, ToneId},
    prompt::{
        ActivationId, Content, PersonaPromptId, PromptBody, PromptError, PromptVersion, PromptVersionId, TechniqueId,
        TechniqueSpec, TonePromptId, VersionDetails,
    },
};
use cqrs_core::{Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

/// Creates the prompt version that ships with the program, as the active one.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct SeedPromptVersion {
    pub id: PromptVersionId,
    pub activation: ActivationId,
    pub details: VersionDetails,
    pub personas: Vec<(PersonaPromptId, CounselorId, PromptBody)>,
    pub tones: Vec<(TonePromptId, ToneId, PromptBody)>,
    pub techniques: Vec<(TechniqueId, TechniqueSpec)>,
}

#[handler]
async fn seed_prompt_version(command: SeedPromptVersion, desk: Desk) -> HandlerResult<(), PromptError> {
    let SeedPromptVersion { id, activation, details, personas, tones, techniques } = command;
    let now = desk.clock.now();
    let content = || Content::new(personas, tones, techniques, now);
    desk.create_once(id, || PromptVersion::seed(details, content(), activation, now)).await
}
