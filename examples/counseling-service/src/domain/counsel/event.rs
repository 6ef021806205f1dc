//! What happens to a counsel.
use super::{CounselId, ExchangeId, MessageId, UserId};
use crate::domain::{
    counselor::CounselorId,
    prompt::{PromptVersionId, TechniqueId},
};
use cqrs_core::{Event, Timestamp};
use serde::{Deserialize, Serialize};

/// What happens to a counsel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "counsel", version = 1)]
#[allow(missing_docs, reason = "named for what they hold")]
pub enum CounselEvent {
    /// A person opened it.
    Opened {
        id: CounselId,
        user: UserId,
        counselor: CounselorId,
        prompt_version: PromptVersionId,
        technique: TechniqueId,
        at: Timestamp,
    },
    /// Something was said in it.
    Said(Said),
    /// An exchange is being answered.
    ExchangeBegun { exchange: ExchangeId, until: Timestamp },
    /// The exchange was answered, or given up.
    ExchangeEnded { exchange: ExchangeId },
}

/// One thing said, as the counsel and its message both remember it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named for what they hold")]
pub struct Said {
    pub id: MessageId,
    pub counsel: CounselId,
    /// Whose counsel it is, whoever spoke.
    pub user: UserId,
    /// Its place in the counsel, from 1.
    pub number: u32,
    pub by: Speaker,
    pub text: String,
    /// The technique in use when it was said.
    pub technique: TechniqueId,
    pub at: Timestamp,
}

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Speaker {
    /// The person.
    Person,
    /// The counsellor.
    Counselor,
}
