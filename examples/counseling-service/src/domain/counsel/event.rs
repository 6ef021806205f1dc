//! The events of a counsel.
use super::{CounselId, ExchangeId, MessageId, UserId};
use crate::domain::{
    counselor::CounselorId,
    prompt::{PromptVersionId, TechniqueId},
};
use cqrs_core::{Event, Timestamp};
use serde::{Deserialize, Serialize};

/// The events of a counsel. They contain no texts: a text is in the event of its message alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "counsel", version = 1)]
pub enum CounselEvent {
    /// A person opened the counsel, which begins with a message of the counsellor.
    Opened {
        user: UserId,
        counselor: CounselorId,
        prompt_version: PromptVersionId,
        technique: TechniqueId,
        opening: MessageId,
        #[serde(default)]
        key: Option<ExchangeId>,
        at: Timestamp,
    },
    /// A message was appended under the next number.
    MessageAppended(Appended),
    /// An attempt of this exchange began. Its state is in the exchange alone.
    ExchangeStarted { exchange: ExchangeId },
}

/// The place of a message in its counsel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Appended {
    pub message: MessageId,
    /// The position in the counsel, from 1.
    pub number: u32,
    pub by: Speaker,
    pub at: Timestamp,
}

/// A message, as stored in its own event and state. Nothing else stores its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessageSent {
    pub id: MessageId,
    pub counsel: CounselId,
    /// The owner of the counsel, for messages of both speakers.
    pub user: UserId,
    /// The counsellor of the counsel, for messages of both speakers.
    pub counselor: CounselorId,
    /// The position in the counsel, from 1.
    pub number: u32,
    pub by: Speaker,
    pub text: String,
    /// The prompt version of the counsel.
    pub prompt_version: PromptVersionId,
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
