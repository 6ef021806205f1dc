//! A counsellor: a persona to talk to, with a tone and bubbles to start from.
mod bubble;
mod error;
mod tone;

pub use bubble::{Bubble, BubbleEvent, BubbleId, Choice};
pub use error::CounselorError;
pub use tone::{Tone, ToneEvent, ToneId};

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
}

/// The public profile of a counsellor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The style of speech.
    pub tone: ToneId,
    /// 1 to 20 characters.
    pub name: String,
    /// 1 to 100 characters.
    pub description: String,
    /// URL of the picture; may be empty.
    pub profile_image: String,
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

/// The events of a counsellor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "counselor", version = 1)]
pub enum CounselorEvent {
    Created { profile: Profile, at: Timestamp },
}

impl Counselor {
    /// Creates a counsellor.
    ///
    /// # Errors
    /// Fails when the name or the description is too short or too long.
    pub fn create(profile: Profile, at: Timestamp) -> Result<CounselorEvent, CounselorError> {
        match (profile.name.chars().count(), profile.description.chars().count()) {
            (1..=20, 1..=100) => Ok(CounselorEvent::Created { profile, at }),
            (1..=20, _) => Err(CounselorError::Description),
            _ => Err(CounselorError::Name),
        }
    }
    pub fn profile(&self) -> &Profile {
        &self.profile
    }
}

impl Evolve<CounselorEvent> for Counselor {
    fn create(id: CounselorId, event: &CounselorEvent) -> Option<Self> {
        let CounselorEvent::Created { profile, .. } = event;
        Some(Counselor { id, profile: profile.clone() })
    }
    fn apply(&mut self, _: &CounselorEvent) {}
}
