//! A message as it is shown.
use crate::domain::counsel::{CounselId, CounselMessage, MessageEvent, MessageId, Reaction, Said};
use cqrs_core::{Change, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// A message as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "message-card", key = MessageId)]
#[index(by_counsel(counsel, +number))]
#[index(latest(counsel, -number))]
#[allow(missing_docs, reason = "named for what they hold")]
pub struct MessageCard {
    pub counsel: CounselId,
    /// Its place in the counsel, from 1.
    pub number: u32,
    pub said: Said,
    pub reaction: Option<(Reaction, Timestamp)>,
}

impl From<Said> for MessageCard {
    fn from(said: Said) -> Self {
        MessageCard { counsel: said.counsel, number: said.number, said, reaction: None }
    }
}
impl From<CounselMessage> for MessageCard {
    fn from(message: CounselMessage) -> Self {
        MessageCard { reaction: message.reaction(), ..message.said().clone().into() }
    }
}

/// Keeps it.
#[projection(name = "message-card")]
fn message_card(event: &MessageEvent) -> Change<MessageCard> {
    match event.clone() {
        MessageEvent::Said(said) => {
            let id = said.id;
            MessageCard::from(said).put(id)
        }
        MessageEvent::Reacted { id, reaction, at } => {
            MessageCard::update(id, move |card| card.reaction = Some((reaction, at)))
        }
    }
}
