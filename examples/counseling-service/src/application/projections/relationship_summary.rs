//! The view of a relationship that its person sees. It also unlocks episodes.
use crate::domain::{
    counsel::UserId,
    counselor::CounselorId,
    relationship::{RelationshipEvent, RelationshipId},
};
use cqrs_core::{Change, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// A relationship of a person with a counsellor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "relationship-summary", key = RelationshipId)]
#[index(by_user(user, -created_at))]
pub struct RelationshipSummary {
    pub id: RelationshipId,
    pub user: UserId,
    pub counselor: CounselorId,
    pub rapport: u32,
    pub created_at: Timestamp,
    /// The time of the last message that was counted.
    pub updated_at: Timestamp,
}

#[projection(name = "relationship-summary")]
fn relationship_summary(event: &Recorded<RelationshipEvent>) -> Change<RelationshipSummary> {
    let id = event.aggregate_id;
    match event.event {
        RelationshipEvent::Started { user, counselor, at } => {
            RelationshipSummary { id, user, counselor, rapport: 0, created_at: at, updated_at: at }.put(id)
        }
        RelationshipEvent::MessageCounted { rise, at } => RelationshipSummary::update(id, move |summary| {
            summary.rapport += rise;
            summary.updated_at = summary.updated_at.max(at);
        }),
    }
}
