//! The command that changes a counsellor.
use super::uploaded::require_uploaded;
use crate::{
    application::{ports::ImageStore, projections::CounselorProfile},
    domain::counselor::{Counselor, CounselorEdit, CounselorError, CounselorId, ImageEdit, Tone},
};
use cqrs_core::{Clock, Command, Dep, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Changes the given fields and keeps the others.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct UpdateCounselor {
    pub id: CounselorId,
    /// A new tone must exist, and a new picture must have been uploaded.
    pub edit: CounselorEdit,
}

#[handler]
async fn update_counselor(
    command: UpdateCounselor,
    counselors: Repo<Counselor>,
    tones: Repo<Tone>,
    images: Dep<dyn ImageStore>,
    clock: Clock,
) -> HandlerResult<CounselorProfile, CounselorError> {
    let UpdateCounselor { id, edit } = command;
    let counselor = counselors.get::<CounselorError>(&id).await?;
    if let Some(tone) = &edit.tone {
        tones.get::<CounselorError>(tone).await?;
    }
    // A client that sends all fields back sends the present picture, which may be of a former store.
    if let ImageEdit::Set(image) = &edit.profile_image
        && counselor.profile().profile_image.as_ref() != Some(image)
    {
        require_uploaded(&images, image, CounselorError::ProfileImage).await?;
    }
    let counselor = counselors.update(&id, |counselor| counselor.update(edit, clock.now())).await?;
    Ok(CounselorProfile::of(&counselor))
}
