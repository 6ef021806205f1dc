//! A tone is created under a given id. One that is there stays as it is, whatever has been made of it.
use crate::domain::counselor::{CounselorError, Tone, ToneId};
use cqrs_core::{Clock, Command, Repo, Result, handler};
use serde::{Deserialize, Serialize};

/// A new style of speech.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateTone {
    /// Its id.
    pub id: ToneId,
    /// 1 to 20 characters.
    pub name: String,
    /// 1 to 100 characters.
    pub description: String,
}

#[handler]
async fn create_tone(command: CreateTone, tones: Repo<Tone>, clock: Clock) -> Result<(), CounselorError> {
    let CreateTone { id, name, description } = command;
    if tones.find(&id).await?.is_none() {
        tones.create(Tone::create(id, name, description, clock.now())?)?;
    }
    Ok(())
}
