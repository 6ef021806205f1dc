//! One message of a counsel, and what the person thinks of it.
use super::{CounselError, Said, Speaker, UserId};
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};

cqrs_core::id!(
    /// Identifies a message.
    pub MessageId
);

/// One message of a counsel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "counsel-message", event = MessageEvent)]
pub struct CounselMessage {
    #[id]
    id: MessageId,
    said: Said,
    reaction: Option<(Reaction, Timestamp)>,
}

/// What a person thinks of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reaction {
    /// It helped.
    Like,
    /// It did not.
    Dislike,
}

/// What happens to a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "counsel-message", version = 1)]
#[allow(missing_docs, reason = "named for what they hold")]
pub enum MessageEvent {
    /// It was said.
    Said(Said),
    /// The person reacted to it.
    Reacted { id: MessageId, reaction: Reaction, at: Timestamp },
}

impl CounselMessage {
    /// Likes or dislikes it.
    ///
    /// # Errors
    /// Only what the counsellor said, and only once.
    pub fn react(&self, reaction: Reaction, at: Timestamp) -> Result<MessageEvent, CounselError> {
        match (self.said.by, self.reaction) {
            (Speaker::Person, _) => Err(CounselError::NotTheCounselors),
            (Speaker::Counselor, Some(_)) => Err(CounselError::AlreadyReacted),
            (Speaker::Counselor, None) => Ok(MessageEvent::Reacted { id: self.id, reaction, at }),
        }
    }
    /// Whether it stands in their counsel.
    pub fn belongs_to(&self, user: UserId) -> bool {
        self.said.user == user
    }
    /// What was said.
    pub fn said(&self) -> &Said {
        &self.said
    }
    /// The reaction, and when it came.
    pub fn reaction(&self) -> Option<(Reaction, Timestamp)> {
        self.reaction
    }
}

impl Evolve<MessageEvent> for CounselMessage {
    fn create(event: &MessageEvent) -> Option<Self> {
        let MessageEvent::Said(said) = event else { return None };
        Some(CounselMessage { id: said.id, said: said.clone(), reaction: None })
    }
    fn apply(&mut self, event: &MessageEvent) {
        if let MessageEvent::Reacted { reaction, at, .. } = event {
            self.reaction = Some((*reaction, *at));
        }
    }
}
