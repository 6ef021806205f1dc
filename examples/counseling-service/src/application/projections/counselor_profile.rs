//! The public view of a counsellor.
use crate::domain::counselor::{CounselorEvent, CounselorId, Profile, ToneId};
use cqrs_core::{Change, Recorded, Timestamp, View, projection};
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
}

#[projection(name = "counselor-profile")]
fn counselor_profile(event: &Recorded<CounselorEvent>) -> Change<CounselorProfile> {
    let id = event.aggregate_id;
    let CounselorEvent::Created { profile, at } = event.event.clone();
    CounselorProfile { id, tone: profile.tone, profile, created_at: at }.put(id)
}
