//! A counsellor as everybody sees them.
use crate::domain::counselor::{CounselorEvent, CounselorId, Profile, ToneId};
use cqrs_core::{Change, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// A counsellor as everybody sees them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "counselor-card", key = CounselorId)]
#[index(all(+created_at))]
#[index(by_tone(tone, +created_at))]
#[allow(missing_docs, reason = "named for what they hold")]
pub struct CounselorCard {
    pub id: CounselorId,
    pub tone: ToneId,
    pub profile: Profile,
    pub created_at: Timestamp,
}

/// Keeps it.
#[projection(name = "counselor-card")]
fn counselor_card(event: &CounselorEvent) -> Change<CounselorCard> {
    let CounselorEvent::Created { id, profile, at } = event.clone();
    CounselorCard { id, tone: profile.tone, profile, created_at: at }.put(id)
}
