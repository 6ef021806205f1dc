//! A counsellor is created under a given id. One that is there stays as it is, whatever has been made of it.
use crate::domain::counselor::{Counselor, CounselorError, CounselorId, Profile, Tone};
use cqrs_core::{Clock, Command, Repo, Result, handler};
use serde::{Deserialize, Serialize};

/// A new persona.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateCounselor {
    /// Its id.
    pub id: CounselorId,
    /// What is shown; the tone must be there.
    pub profile: Profile,
}

#[handler]
async fn create_counselor(
    command: CreateCounselor,
    counselors: Repo<Counselor>,
    tones: Repo<Tone>,
    clock: Clock,
) -> Result<(), CounselorError> {
    let CreateCounselor { id, profile } = command;
    tones.get::<CounselorError>(&profile.tone).await?;
    if counselors.find(&id).await?.is_none() {
        counselors.create(Counselor::create(id, profile, clock.now())?)?;
    }
    Ok(())
}
