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

/// What is shown of a counsellor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// How they speak.
    pub tone: ToneId,
    /// 1 to 20 characters.
    pub name: String,
    /// 1 to 100 characters.
    pub description: String,
    /// URL of the picture; may be empty.
    pub profile_image: String,
    /// How they are shown.
    pub gender: Gender,
}

/// How a counsellor is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gender {
    /// As a man.
    Male,
    /// As a woman.
    Female,
    /// As neither.
    None,
}

/// What happens to a counsellor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "counselor", version = 1)]
#[allow(missing_docs, reason = "named for what they hold")]
pub enum CounselorEvent {
    /// There is a new one.
    Created { id: CounselorId, profile: Profile, at: Timestamp },
}

impl Counselor {
    /// A new counsellor.
    ///
    /// # Errors
    /// Name or description too short or too long.
    pub fn create(id: CounselorId, profile: Profile, at: Timestamp) -> Result<CounselorEvent, CounselorError> {
        match (profile.name.chars().count(), profile.description.chars().count()) {
            (1..=20, 1..=100) => Ok(CounselorEvent::Created { id, profile, at }),
            (1..=20, _) => Err(CounselorError::Description),
            _ => Err(CounselorError::Name),
        }
    }
    /// What is shown.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }
}

impl Evolve<CounselorEvent> for Counselor {
    fn create(event: &CounselorEvent) -> Option<Self> {
        let CounselorEvent::Created { id, profile, .. } = event;
        Some(Counselor { id: *id, profile: profile.clone() })
    }
    fn apply(&mut self, _: &CounselorEvent) {}
}
