//! The command that creates a tone.
use crate::{
    application::projections::ToneSummary,
    domain::counselor::{Tone, ToneDescription, ToneName},
};
use cqrs_core::{Clock, Command, HandlerResult, Infallible, Repo, handler};
use serde::{Deserialize, Serialize};

/// Creates a style of speech.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateTone {
    pub name: ToneName,
    pub description: ToneDescription,
}

#[handler]
async fn create_tone(command: CreateTone, tones: Repo<Tone>, clock: Clock) -> HandlerResult<ToneSummary, Infallible> {
    let CreateTone { name, description } = command;
    let tone = tones.create(clock.id().into(), Tone::create(name, description, clock.now()))?;
    Ok(ToneSummary::of(&tone))
}
