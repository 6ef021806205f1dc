//! One message of a counsel, and the person's reaction to it.
use super::{CounselError, MessageSent, Speaker, UserId};
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
    sent: MessageSent,
    reaction: Option<(Reaction, Timestamp)>,
}

/// A person's reaction to a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reaction {
    Like,
    Dislike,
}

/// The events of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "counsel-message", version = 1)]
pub enum MessageEvent {
    /// The message was sent.
    Sent(MessageSent),
    /// The person reacted to the message.
    Reacted { reaction: Reaction, at: Timestamp },
}

impl CounselMessage {
    /// Records a reaction.
    ///
    /// # Errors
    /// Fails for a message of the person, and when there is a reaction already.
    pub fn react(&self, reaction: Reaction, at: Timestamp) -> Result<MessageEvent, CounselError> {
        match (self.sent.by, self.reaction) {
            (Speaker::Person, _) => Err(CounselError::NotTheCounselors),
            (Speaker::Counselor, Some(_)) => Err(CounselError::AlreadyReacted),
            (Speaker::Counselor, None) => Ok(MessageEvent::Reacted { reaction, at }),
        }
    }
    /// Returns whether this person owns the message's counsel.
    pub fn belongs_to(&self, user: UserId) -> bool {
        self.sent.user == user
    }
    pub fn sent(&self) -> &MessageSent {
        &self.sent
    }
    /// Returns the reaction and its time.
    pub fn reaction(&self) -> Option<(Reaction, Timestamp)> {
        self.reaction
    }
}

impl Evolve<MessageEvent> for CounselMessage {
    fn create(id: MessageId, event: &MessageEvent) -> Option<Self> {
        let MessageEvent::Sent(sent) = event else { return None };
        Some(CounselMessage { id, sent: sent.clone(), reaction: None })
    }
    fn apply(&mut self, event: &MessageEvent) {
        if let MessageEvent::Reacted { reaction, at } = event {
            self.reaction = Some((*reaction, *at));
        }
    }
}
