//! A counsel: one chat of a person with a counsellor. It numbers its messages, and names its latest exchange.
mod error;
mod event;
mod exchange;
mod message;
mod message_text;
mod openings;
#[cfg(test)]
mod tests;

pub use error::CounselError;
pub use event::{Appended, CounselEvent, MessageSent, Speaker};
pub use exchange::{ANSWERED_WITHIN, Exchange, ExchangeEvent, ExchangeId, Progress};
pub use message::{CounselMessage, MessageEvent, MessageId, Reaction};
pub use message_text::{LONGEST, MessageText};
pub use openings::{CEILING_PERIOD, MOST_COUNSELS, Openings, OpeningsEvent};

use crate::domain::{
    counselor::CounselorId,
    prompt::{PromptVersionId, TechniqueId},
};
use cqrs_core::{Aggregate, Evolve, Timestamp};
use serde::{Deserialize, Serialize};

cqrs_core::id!(
    /// Identifies a counsel.
    pub CounselId
);
cqrs_core::id!(
    /// Identifies the owner of a counsel. People belong to the user service; this context knows only their id.
    pub UserId
);

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
    opening: MessageId,
    /// The exchange of the request that opened it, with a bubble or not.
    #[unique]
    #[serde(default)]
    key: Option<ExchangeId>,
    /// The message with the highest number.
    latest: Appended,
    /// The exchange of the latest attempt to reply. The exchange knows whether it is still waiting.
    exchange: Option<ExchangeId>,
    opened_at: Timestamp,
}

/// The properties of a new counsel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewCounsel {
    pub user: UserId,
    pub counselor: CounselorId,
    /// The version that the counsel keeps.
    pub prompt_version: PromptVersionId,
    /// The technique that the counsel starts with.
    pub technique: TechniqueId,
    /// The exchange of the request that opens it. It opens no second one.
    pub key: Option<ExchangeId>,
}

impl Counsel {
    /// Opens a counsel with a message of the counsellor, which gets the number 1.
    pub fn open(new: NewCounsel, opening: MessageId, at: Timestamp) -> CounselEvent {
        let NewCounsel { user, counselor, prompt_version, technique, key } = new;
        CounselEvent::Opened { user, counselor, prompt_version, technique, opening, key, at }
    }

    /// Appends a message under the next number.
    pub fn append(&self, message: MessageId, by: Speaker, at: Timestamp) -> CounselEvent {
        CounselEvent::MessageAppended(Appended { message, number: self.latest.number + 1, by, at })
    }

    /// Returns the latest message with its text, for the message's own event.
    pub fn latest_message(&self, text: impl Into<String>) -> MessageSent {
        let Appended { message: id, number, by, at } = self.latest;
        let Counsel { id: counsel, user, counselor, prompt_version, technique, .. } = *self;
        MessageSent { id, counsel, user, counselor, number, by, text: text.into(), prompt_version, technique, at }
    }

    /// Begins an attempt of an exchange. Each attempt is an event, so that concurrent attempts of two exchanges conflict.
    pub fn start_exchange(&self, exchange: ExchangeId) -> CounselEvent {
        CounselEvent::ExchangeStarted { exchange }
    }

    /// Returns whether this person owns the counsel.
    pub fn belongs_to(&self, user: UserId) -> bool {
        self.user == user
    }
    /// Returns the exchange of the latest attempt to reply.
    pub fn exchange(&self) -> Option<ExchangeId> {
        self.exchange
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
    /// Returns the message with the highest number.
    pub fn latest(&self) -> MessageId {
        self.latest.message
    }
    /// Returns the first message: a greeting, or a bubble's question.
    pub fn opening(&self) -> MessageId {
        self.opening
    }
    pub fn opened_at(&self) -> Timestamp {
        self.opened_at
    }
}

impl Evolve<CounselEvent> for Counsel {
    fn create(id: CounselId, event: &CounselEvent) -> Option<Self> {
        let CounselEvent::Opened { user, counselor, prompt_version, technique, opening, key, at } = *event else {
            return None;
        };
        let latest = Appended { message: opening, number: 1, by: Speaker::Counselor, at };
        let (exchange, opened_at) = (None, at);
        Some(Counsel { id, user, counselor, prompt_version, technique, opening, key, latest, exchange, opened_at })
    }

    fn apply(&mut self, event: &CounselEvent) {
        match event {
            CounselEvent::Opened { .. } => (),
            CounselEvent::MessageAppended(appended) => self.latest = *appended,
            CounselEvent::ExchangeStarted { exchange } => self.exchange = Some(*exchange),
        }
    }
}
