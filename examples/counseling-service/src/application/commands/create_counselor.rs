//! The command that creates a counsellor.
use super::uploaded::require_uploaded;
use crate::{
    application::{ports::ImageStore, projections::CounselorProfile},
    domain::counselor::{Counselor, CounselorError, Profile, Tone},
};
use cqrs_core::{Clock, Command, Dep, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Creates a counsellor.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct CreateCounselor {
    /// The public profile. Its tone must exist, and its picture must have been uploaded.
    pub profile: Profile,
}

#[handler]
async fn create_counselor(
    command: CreateCounselor,
    counselors: Repo<Counselor>,
    tones: Repo<Tone>,
    images: Dep<dyn ImageStore>,
    clock: Clock,
) -> HandlerResult<CounselorProfile, CounselorError> {
    let profile = command.profile;
    tones.get::<CounselorError>(&profile.tone).await?;
    if let Some(image) = &profile.profile_image {
        require_uploaded(&images, image, CounselorError::ProfileImage).await?;
    }
    let counselor = counselors.create(clock.id().into(), Counselor::create(profile, clock.now()))?;
    Ok(CounselorProfile::of(&counselor))
}
