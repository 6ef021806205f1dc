//! The command that creates a counsellor under a given id; an existing counsellor is left unchanged.
use crate::domain::counselor::{Counselor, CounselorError, CounselorId, Profile, Tone};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Creates a counsellor.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateCounselor {
    pub id: CounselorId,
    /// The public profile; its tone must exist.
    pub profile: Profile,
}

#[handler]
async fn create_counselor(
    command: CreateCounselor,
    counselors: Repo<Counselor>,
    tones: Repo<Tone>,
    clock: Clock,
) -> HandlerResult<(), CounselorError> {
    let CreateCounselor { id, profile } = command;
    tones.get::<CounselorError>(&profile.tone).await?;
    if counselors.find(&id).await?.is_none() {
        counselors.create(id, Counselor::create(profile, clock.now())?)?;
    }
    Ok(())
}
