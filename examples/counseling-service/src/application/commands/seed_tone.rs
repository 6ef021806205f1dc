//! The command that seeds a tone under a given id; an existing tone is left unchanged.
use crate::domain::counselor::{Tone, ToneDescription, ToneId, ToneName};
use cqrs_core::{Clock, Command, HandlerResult, Infallible, Repo, handler};
use serde::{Deserialize, Serialize};

/// Creates a tone that ships with the program.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct SeedTone {
    pub id: ToneId,
    pub name: ToneName,
    pub description: ToneDescription,
}

#[handler]
async fn seed_tone(command: SeedTone, tones: Repo<Tone>, clock: Clock) -> HandlerResult<(), Infallible> {
    let SeedTone { id, name, description } = command;
    if tones.find(&id).await?.is_none() {
        tones.create(id, Tone::create(name, description, clock.now()))?;
    }
    Ok(())
}
