//! The public view of a counsellor.
use crate::domain::counselor::{Changed, Counselor, CounselorEvent, CounselorId, Profile, ToneId};
use cqrs_core::{Aggregate, Change, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// The public view of a counsellor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "counselor-profile", key = CounselorId)]
#[index(all(created_at))]
#[index(by_tone(tone, created_at))]
pub struct CounselorProfile {
    pub id: CounselorId,
    pub tone: ToneId,
    pub profile: Profile,
    pub created_at: Timestamp,
    /// The time of the last change, if there was one.
    pub updated_at: Option<Timestamp>,
}

impl CounselorProfile {
    /// Builds the view from the aggregate, for a command's result: the view catches up later.
    pub fn of(counselor: &Counselor) -> Self {
        let (profile, Changed { created_at, updated_at }) = (counselor.profile().clone(), counselor.changed());
        CounselorProfile { id: *counselor.id(), tone: profile.tone, profile, created_at, updated_at: Some(updated_at) }
    }
}

#[projection(name = "counselor-profile")]
fn counselor_profile(event: &Recorded<CounselorEvent>) -> Change<CounselorProfile> {
    let id = event.aggregate_id;
    match event.event.clone() {
        CounselorEvent::Created { profile, at } => {
            CounselorProfile { id, tone: profile.tone, profile, created_at: at, updated_at: None }.put(id)
        }
        CounselorEvent::Updated { profile, at } => CounselorProfile::update(id, move |view| {
            view.tone = profile.tone;
            view.profile = profile;
            view.updated_at = Some(at);
        }),
    }
}
