//! A relationship of a person with a counsellor. Its rapport rises with the person's messages and unlocks episodes.
mod rapport;
#[cfg(test)]
mod tests;

pub use rapport::{DAILY_LIMIT, DailyRise, Interaction};

use super::{counsel::UserId, counselor::CounselorId};
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

cqrs_core::id!(
    /// Identifies a relationship.
    pub RelationshipId
);
impl RelationshipId {
    /// Must never change: another namespace would begin every relationship a second time.
    const NAMESPACE: Uuid = Uuid::from_u128(0x8f1c_6c0e_51f4_4c86_9d0b_7f4a_2e6d_90b3);

    /// Returns the id of the relationship of this pair. It is derived from the pair, so there is one relationship at most,
    /// and it is found without a search.
    pub fn of(user: UserId, counselor: CounselorId) -> Self {
        Uuid::new_v5(&Self::NAMESPACE, format!("{user}/{counselor}").as_bytes()).into()
    }
}

/// A relationship of a person with a counsellor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "relationship", event = RelationshipEvent)]
pub struct Relationship {
    #[id]
    id: RelationshipId,
    user: UserId,
    counselor: CounselorId,
    rapport: u32,
    /// The number of the person's messages, including those that raised nothing.
    messages: u64,
    today: DailyRise,
    last_interaction_at: Timestamp,
}

/// The events of a relationship.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "relationship", version = 1)]
pub enum RelationshipEvent {
    /// The person sent the first message to the counsellor.
    Started { user: UserId, counselor: CounselorId, at: Timestamp },
    /// A message of the person was counted. It raised the rapport by this much, which is 0 above the limit of the day.
    MessageCounted { rise: u32, at: Timestamp },
}

impl Relationship {
    /// Starts the relationship. The message that starts it is counted separately.
    pub fn start(user: UserId, counselor: CounselorId, at: Timestamp) -> RelationshipEvent {
        RelationshipEvent::Started { user, counselor, at }
    }
    /// Counts a message that the person sent at this time.
    pub fn count_message(&self, at: Timestamp) -> RelationshipEvent {
        let (rise, _) = self.today.add(Interaction::Message, at);
        RelationshipEvent::MessageCounted { rise, at }
    }
    pub fn rapport(&self) -> u32 {
        self.rapport
    }
    pub fn messages(&self) -> u64 {
        self.messages
    }
}

impl Evolve<RelationshipEvent> for Relationship {
    fn create(id: RelationshipId, event: &RelationshipEvent) -> Option<Self> {
        let RelationshipEvent::Started { user, counselor, at } = *event else { return None };
        let today = DailyRise::none(at);
        Some(Relationship { id, user, counselor, rapport: 0, messages: 0, today, last_interaction_at: at })
    }
    fn apply(&mut self, event: &RelationshipEvent) {
        match *event {
            RelationshipEvent::Started { .. } => (),
            RelationshipEvent::MessageCounted { rise, at } => {
                self.rapport += rise;
                self.messages += 1;
                self.today = self.today.add(Interaction::Message, at).1;
                self.last_interaction_at = self.last_interaction_at.max(at);
            }
        }
    }
}
