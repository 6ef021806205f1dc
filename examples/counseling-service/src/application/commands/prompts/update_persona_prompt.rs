//! The command that sets the prompt of a counsellor.
use super::desk::Desk;
use crate::{
    application::{not_found, projections::PersonaPromptEntry},
    domain::{
        counselor::{Counselor, CounselorId},
        prompt::{PromptBody, PromptError},
    },
};
use cqrs_core::{Aggregate, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Sets the prompt of a counsellor in the temporary version.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct UpdatePersonaPrompt {
    /// The counsellor, who must exist.
    pub counselor: CounselorId,
    pub body: PromptBody,
}

#[handler]
async fn update_persona_prompt(
    command: UpdatePersonaPrompt,
    desk: Desk,
    counselors: Repo<Counselor>,
) -> HandlerResult<PersonaPromptEntry, PromptError> {
    let UpdatePersonaPrompt { counselor, body } = command;
    counselors.get::<PromptError>(&counselor).await?;
    let (id, now) = (desk.clock.id().into(), desk.clock.now());
    let version = desk.edit(|version| version.set_persona(id, counselor, body, now)).await?;
    let prompt = version.content().persona(counselor).ok_or_else(|| not_found("persona-prompt", counselor))?;
    Ok(PersonaPromptEntry::of(*version.id(), prompt.clone()))
}
