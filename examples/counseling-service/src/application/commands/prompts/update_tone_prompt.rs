//! The command that sets the prompt of a tone.
use super::desk::Desk;
use crate::{
    application::{not_found, projections::TonePromptEntry},
    domain::{
        counselor::{Tone, ToneId},
        prompt::{PromptBody, PromptError},
    },
};
use cqrs_core::{Aggregate, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Sets the prompt of a tone in the temporary version.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct UpdateTonePrompt {
    /// The tone, which must exist.
    pub tone: ToneId,
    pub body: PromptBody,
}

#[handler]
async fn update_tone_prompt(
    command: UpdateTonePrompt,
    desk: Desk,
    tones: Repo<Tone>,
) -> HandlerResult<TonePromptEntry, PromptError> {
    let UpdateTonePrompt { tone, body } = command;
    tones.get::<PromptError>(&tone).await?;
    let (id, now) = (desk.clock.id().into(), desk.clock.now());
    let version = desk.edit(|version| version.set_tone(id, tone, body, now)).await?;
    let prompt = version.content().tone(tone).ok_or_else(|| not_found("tone-prompt", tone))?;
    Ok(TonePromptEntry::of(*version.id(), prompt.clone()))
}
