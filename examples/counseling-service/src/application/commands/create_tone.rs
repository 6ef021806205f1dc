//! The command that creates a tone under a given id; an existing tone is left unchanged.
use crate::domain::counselor::{CounselorError, Tone, ToneId};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Creates a style of speech.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateTone {
    pub id: ToneId,
    /// 1 to 20 characters.
    pub name: String,
    /// 1 to 100 characters.
    pub description: String,
}

#[handler]
async fn create_tone(command: CreateTone, tones: Repo<Tone>, clock: Clock) -> HandlerResult<(), CounselorError> {
    let CreateTone { id, name, description } = command;
    if tones.find(&id).await?.is_none() {
        tones.create(id, Tone::create(name, description, clock.now())?)?;
    }
    Ok(())
}
