//! The events of a counsel.
use super::{CounselId, ExchangeId, MessageId, UserId};
use crate::domain::{
    counselor::CounselorId,
    prompt::{PromptVersionId, TechniqueId},
};
use cqrs_core::{Event, Timestamp};
use serde::{Deserialize, Serialize};

/// The events of a counsel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "counsel", version = 1)]
pub enum CounselEvent {
    /// A person opened the counsel.
    Opened {
        user: UserId,
        counselor: CounselorId,
        prompt_version: PromptVersionId,
        technique: TechniqueId,
        at: Timestamp,
    },
    /// A message was appended.
    MessageSent(MessageSent),
    /// An exchange became the open one; it may take until the given time.
    ExchangeStarted { exchange: ExchangeId, until: Timestamp },
    /// The open exchange was answered, or given up.
    ExchangeEnded { exchange: ExchangeId },
}

/// A message, as stored in the events of both the counsel and the message. It has the ids of both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessageSent {
    pub id: MessageId,
    pub counsel: CounselId,
    /// The owner of the counsel, for messages of both speakers.
    pub user: UserId,
    /// The position in the counsel, from 1.
    pub number: u32,
    pub by: Speaker,
    pub text: String,
    /// The technique in use when the message was sent.
    pub technique: TechniqueId,
    pub at: Timestamp,
}

/// The author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Speaker {
    Person,
    Counselor,
}
