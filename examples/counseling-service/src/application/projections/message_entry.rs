//! The view of a message within its counsel.
use crate::domain::counsel::{CounselId, CounselMessage, MessageEvent, MessageId, MessageSent, Reaction};
use cqrs_core::{Change, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// The view of a message within its counsel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "message-entry", key = MessageId)]
#[index(by_counsel(counsel, number))]
pub struct MessageEntry {
    pub counsel: CounselId,
    /// The position in the counsel, from 1.
    pub number: u32,
    pub sent: MessageSent,
    pub reaction: Option<(Reaction, Timestamp)>,
}

impl From<MessageSent> for MessageEntry {
    fn from(sent: MessageSent) -> Self {
        MessageEntry { counsel: sent.counsel, number: sent.number, sent, reaction: None }
    }
}
impl From<CounselMessage> for MessageEntry {
    fn from(message: CounselMessage) -> Self {
        MessageEntry { reaction: message.reaction(), ..message.sent().clone().into() }
    }
}

#[projection(name = "message-entry")]
fn message_entry(event: &Recorded<MessageEvent>) -> Change<MessageEntry> {
    let id = event.aggregate_id;
    match event.event.clone() {
        MessageEvent::Sent(sent) => MessageEntry::from(sent).put(id),
        MessageEvent::Reacted { reaction, at } => {
            MessageEntry::update(id, move |entry| entry.reaction = Some((reaction, at)))
        }
    }
}
