//! A counsel: one chat of a person with a counsellor. It numbers its messages and allows one open exchange at a time.
mod error;
mod event;
mod exchange;
mod message;
mod message_text;
#[cfg(test)]
mod tests;

pub use error::CounselError;
pub use event::{CounselEvent, MessageSent, Speaker};
pub use exchange::{Exchange, ExchangeEvent, ExchangeId, Progress};
pub use message::{CounselMessage, MessageEvent, MessageId, Reaction};
pub use message_text::{LONGEST, MessageText};

use crate::domain::{
    counselor::CounselorId,
    prompt::{PromptVersionId, TechniqueId},
};
use cqrs_core::{Aggregate, Evolve, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

cqrs_core::id!(
    /// Identifies a counsel.
    pub CounselId
);
cqrs_core::id!(
    /// Identifies the owner of a counsel. People belong to the user service; this context knows only their id.
    pub UserId
);

/// The time for which an exchange stays open. Longer than a responder may take, shorter than a token is held.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// One chat of a person with a counsellor. Messages are separate aggregates, so a long counsel stays small.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "counsel", event = CounselEvent)]
pub struct Counsel {
    #[id]
    id: CounselId,
    user: UserId,
    counselor: CounselorId,
    prompt_version: PromptVersionId,
    technique: TechniqueId,
    messages: u32,
    opening: Option<MessageId>,
    last_message: Option<String>,
    last_chated_at: Option<Timestamp>,
    open: Option<Open>,
    opened_at: Timestamp,
}

/// The exchange that is waiting for its reply, and its time limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Open {
    exchange: ExchangeId,
    until: Timestamp,
}

impl Counsel {
    /// Opens a counsel. It keeps the prompt version that it was opened with.
    pub fn open(
        user: UserId,
        counselor: CounselorId,
        prompt_version: PromptVersionId,
        technique: TechniqueId,
        at: Timestamp,
    ) -> CounselEvent {
        CounselEvent::Opened { user, counselor, prompt_version, technique, at }
    }

    /// Builds the next message with the next number.
    pub fn next(&self, id: MessageId, by: Speaker, text: impl Into<String>, at: Timestamp) -> MessageSent {
        let (counsel, user, technique) = (self.id, self.user, self.technique);
        MessageSent { id, counsel, user, number: self.messages + 1, by, text: text.into(), technique, at }
    }

    /// Appends a message that [`next`](Counsel::next) built.
    pub fn append(&self, sent: &MessageSent) -> CounselEvent {
        CounselEvent::MessageSent(sent.clone())
    }

    /// Makes an exchange the open one, for the first time or for a retry.
    ///
    /// # Errors
    /// Fails while an exchange is waiting for its reply: this one, or another.
    pub fn start_exchange(&self, exchange: ExchangeId, now: Timestamp) -> Result<CounselEvent, CounselError> {
        match &self.open {
            Some(open) if now < open.until && open.exchange == exchange => Err(CounselError::BeingAnswered),
            Some(open) if now < open.until => Err(CounselError::Busy),
            _ => Ok(CounselEvent::ExchangeStarted { exchange, until: now + ANSWERED_WITHIN }),
        }
    }

    /// Returns the open exchange when it is not `exchange` and its time limit has passed: the process that should have
    /// replied has crashed.
    pub fn overdue(&self, exchange: ExchangeId, now: Timestamp) -> Option<ExchangeId> {
        let open = self.open.as_ref()?;
        (open.exchange != exchange && open.until <= now).then_some(open.exchange)
    }

    /// Closes the exchange when it is the open one; otherwise changes nothing.
    pub fn end_exchange(&self, exchange: ExchangeId) -> Option<CounselEvent> {
        let open = self.open.as_ref()?;
        (open.exchange == exchange).then_some(CounselEvent::ExchangeEnded { exchange })
    }

    /// Returns whether this person owns the counsel.
    pub fn belongs_to(&self, user: UserId) -> bool {
        self.user == user
    }
    pub fn counselor(&self) -> CounselorId {
        self.counselor
    }
    /// Returns the prompt version that the counsel was opened with.
    pub fn prompt_version(&self) -> PromptVersionId {
        self.prompt_version
    }
    pub fn user(&self) -> UserId {
        self.user
    }
    /// Returns the first message: a greeting, or a bubble's question.
    pub fn opening(&self) -> Option<MessageId> {
        self.opening
    }
    /// Returns the text and time of the last message.
    pub fn last(&self) -> Option<(&str, Timestamp)> {
        self.last_message.as_deref().zip(self.last_chated_at)
    }
    pub fn opened_at(&self) -> Timestamp {
        self.opened_at
    }
}

impl Evolve<CounselEvent> for Counsel {
    fn create(id: CounselId, event: &CounselEvent) -> Option<Self> {
        let CounselEvent::Opened { user, counselor, prompt_version, technique, at } = event else { return None };
        Some(Counsel {
            id,
            user: *user,
            counselor: *counselor,
            prompt_version: *prompt_version,
            technique: *technique,
            messages: 0,
            opening: None,
            last_message: None,
            last_chated_at: None,
            open: None,
            opened_at: *at,
        })
    }

    fn apply(&mut self, event: &CounselEvent) {
        match event {
            CounselEvent::Opened { .. } => (),
            CounselEvent::MessageSent(sent) => {
                self.messages = sent.number;
                self.opening.get_or_insert(sent.id);
                self.last_message = Some(sent.text.clone());
                self.last_chated_at = Some(sent.at);
            }
            CounselEvent::ExchangeStarted { exchange, until } => {
                self.open = Some(Open { exchange: *exchange, until: *until });
            }
            CounselEvent::ExchangeEnded { .. } => self.open = None,
        }
    }
}
