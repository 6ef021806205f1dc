//! A counsellor: a persona to talk to, with a tone and bubbles to start from.
mod bubble;
mod error;
#[cfg(test)]
mod tests;
mod texts;
mod tone;

pub use bubble::{Bubble, BubbleEdit, BubbleEvent, BubbleId, Choice};
pub use error::CounselorError;
pub use texts::{
    CounselorDescription, CounselorName, Question, ResponseOptions, ToneDescription, ToneName, response_option1,
    response_option2,
};
pub use tone::{Tone, ToneEdit, ToneEvent, ToneId};

use super::image::ImageUrl;
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};

cqrs_core::id!(
    /// Identifies a counsellor.
    pub CounselorId
);

/// A persona to talk to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "counselor", event = CounselorEvent)]
pub struct Counselor {
    #[id]
    id: CounselorId,
    profile: Profile,
    #[serde(default)]
    changed: Changed,
}

/// The public profile of a counsellor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The style of speech.
    pub tone: ToneId,
    pub name: CounselorName,
    pub description: CounselorDescription,
    /// The public URL of the picture, if there is one.
    pub profile_image: Option<ImageUrl>,
    /// The gender shown to users.
    pub gender: Gender,
}

/// The gender of a counsellor as shown to users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gender {
    Male,
    Female,
    /// No gender is shown.
    None,
}

/// The times of the creation and of the last change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
impl Changed {
    pub(super) fn created(at: Timestamp) -> Self {
        Changed { created_at: at, updated_at: at }
    }
}

/// The changes of one request to a counsellor. An absent field keeps its value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CounselorEdit {
    pub tone: Option<ToneId>,
    pub name: Option<CounselorName>,
    pub description: Option<CounselorDescription>,
    pub profile_image: ImageEdit,
    pub gender: Option<Gender>,
}

/// A change of a picture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum ImageEdit {
    #[default]
    Keep,
    Remove,
    Set(ImageUrl),
}
impl ImageEdit {
    fn of(self, old: Option<ImageUrl>) -> Option<ImageUrl> {
        match self {
            ImageEdit::Keep => old,
            ImageEdit::Remove => None,
            ImageEdit::Set(new) => Some(new),
        }
    }
}

/// The events of a counsellor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "counselor", version = 1)]
pub enum CounselorEvent {
    Created { profile: Profile, at: Timestamp },
    Updated { profile: Profile, at: Timestamp },
}

impl Counselor {
    /// Creates a counsellor.
    pub fn create(profile: Profile, at: Timestamp) -> CounselorEvent {
        CounselorEvent::Created { profile, at }
    }
    /// Changes the given fields. Equal values change nothing.
    ///
    /// # Errors
    /// Fails when no field is given.
    pub fn update(&self, edit: CounselorEdit, at: Timestamp) -> Result<Option<CounselorEvent>, CounselorError> {
        if edit == CounselorEdit::default() {
            return Err(CounselorError::NothingToUpdate);
        }
        let old = self.profile.clone();
        let profile = Profile {
            tone: edit.tone.unwrap_or(old.tone),
            name: edit.name.unwrap_or(old.name),
            description: edit.description.unwrap_or(old.description),
            profile_image: edit.profile_image.of(old.profile_image),
            gender: edit.gender.unwrap_or(old.gender),
        };
        Ok((profile != self.profile).then_some(CounselorEvent::Updated { profile, at }))
    }
    pub fn profile(&self) -> &Profile {
        &self.profile
    }
    pub fn changed(&self) -> Changed {
        self.changed
    }
}

impl Evolve<CounselorEvent> for Counselor {
    fn create(id: CounselorId, event: &CounselorEvent) -> Option<Self> {
        let CounselorEvent::Created { profile, at } = event else { return None };
        Some(Counselor { id, profile: profile.clone(), changed: Changed::created(*at) })
    }
    fn apply(&mut self, event: &CounselorEvent) {
        match event {
            CounselorEvent::Created { .. } => (),
            CounselorEvent::Updated { profile, at } => {
                self.profile = profile.clone();
                self.changed.updated_at = *at;
            }
        }
    }
}
