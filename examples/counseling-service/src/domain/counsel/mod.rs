//! A counsel: one chat of a person with a counsellor. It numbers its messages and lets one exchange be open at a time.
mod error;
mod event;
mod exchange;
mod message;
#[cfg(test)]
mod tests;
mod words;

pub use error::CounselError;
pub use event::{CounselEvent, Said, Speaker};
pub use exchange::{Exchange, ExchangeEvent, ExchangeId, Progress};
pub use message::{CounselMessage, MessageEvent, MessageId, Reaction};
pub use words::{LONGEST, Words};

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
    /// Whose counsel it is. People belong to the user service; here they are an id.
    pub UserId
);

/// How long an exchange keeps a counsel to itself. Longer than a responder may take, shorter than a token is held for it.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// One chat of a person with a counsellor. Small whatever its length: messages are aggregates of their own.
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

/// The exchange that is being answered, until when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Open {
    exchange: ExchangeId,
    until: Timestamp,
}

impl Counsel {
    /// A counsel keeps the prompts it was opened with.
    pub fn open(
        id: CounselId,
        user: UserId,
        counselor: CounselorId,
        prompt_version: PromptVersionId,
        technique: TechniqueId,
        at: Timestamp,
    ) -> CounselEvent {
        CounselEvent::Opened { id, user, counselor, prompt_version, technique, at }
    }

    /// What is said next: it gets the next number.
    pub fn next(&self, id: MessageId, by: Speaker, text: impl Into<String>, at: Timestamp) -> Said {
        let (counsel, user, technique) = (self.id, self.user, self.technique);
        Said { id, counsel, user, number: self.messages + 1, by, text: text.into(), technique, at }
    }

    /// Takes note of what was said.
    pub fn hear(&self, said: &Said) -> CounselEvent {
        CounselEvent::Said(said.clone())
    }

    /// Opens an exchange, for the first time or again.
    ///
    /// # Errors
    /// While one is being answered: this one, or another.
    pub fn begin(&self, exchange: ExchangeId, now: Timestamp) -> Result<CounselEvent, CounselError> {
        match &self.open {
            Some(open) if now < open.until && open.exchange == exchange => Err(CounselError::BeingAnswered),
            Some(open) if now < open.until => Err(CounselError::Busy),
            _ => Ok(CounselEvent::ExchangeBegun { exchange, until: now + ANSWERED_WITHIN }),
        }
    }

    /// An exchange other than `exchange` whose time is over, because whoever should have answered has crashed.
    pub fn overdue(&self, exchange: ExchangeId, now: Timestamp) -> Option<ExchangeId> {
        let open = self.open.as_ref()?;
        (open.exchange != exchange && open.until <= now).then_some(open.exchange)
    }

    /// Closes an exchange, if it is the open one.
    pub fn end(&self, exchange: ExchangeId) -> Option<CounselEvent> {
        let open = self.open.as_ref()?;
        (open.exchange == exchange).then_some(CounselEvent::ExchangeEnded { exchange })
    }

    /// Whether this is their counsel.
    pub fn belongs_to(&self, user: UserId) -> bool {
        self.user == user
    }
    /// With whom it is.
    pub fn counselor(&self) -> CounselorId {
        self.counselor
    }
    /// The prompts it was opened with.
    pub fn prompt_version(&self) -> PromptVersionId {
        self.prompt_version
    }
    /// Whose it is.
    pub fn user(&self) -> UserId {
        self.user
    }
    /// What was said first: a greeting, or a bubble's question.
    pub fn opening(&self) -> Option<MessageId> {
        self.opening
    }
    /// What was said last, and when.
    pub fn last(&self) -> Option<(&str, Timestamp)> {
        self.last_message.as_deref().zip(self.last_chated_at)
    }
    /// Since when it is open.
    pub fn opened_at(&self) -> Timestamp {
        self.opened_at
    }
}

impl Evolve<CounselEvent> for Counsel {
    fn create(event: &CounselEvent) -> Option<Self> {
        let CounselEvent::Opened { id, user, counselor, prompt_version, technique, at } = event else { return None };
        Some(Counsel {
            id: *id,
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
            CounselEvent::Said(said) => {
                self.messages = said.number;
                self.opening.get_or_insert(said.id);
                self.last_message = Some(said.text.clone());
                self.last_chated_at = Some(said.at);
            }
            CounselEvent::ExchangeBegun { exchange, until } => {
                self.open = Some(Open { exchange: *exchange, until: *until });
            }
            CounselEvent::ExchangeEnded { .. } => self.open = None,
        }
    }
}
