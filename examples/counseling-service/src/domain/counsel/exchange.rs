//! An exchange: a person's message and its reply, for which one token is consumed. The caller supplies its id, which
//! is unique.
use super::{CounselError, CounselId, MessageId, MessageSent, MessageText, UserId};
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

cqrs_core::id!(
    /// Identifies an exchange, here and in the person's wallet.
    pub ExchangeId
);

/// The time for which a wallet holds a token for one attempt. A later retry reserves the token again.
const HELD_FOR: Duration = Duration::from_secs(60);

/// A person's message and its reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "exchange", event = ExchangeEvent)]
pub struct Exchange {
    #[id]
    id: ExchangeId,
    counsel: CounselId,
    user: UserId,
    question: MessageId,
    text: MessageText,
    attempt: u32,
    attempt_started_at: Timestamp,
    progress: Progress,
}

/// The state of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// A reply is awaited.
    Pending,
    /// The attempt was given up; the exchange may be retried.
    Failed,
    /// The reply is stored; this state is final.
    Replied(MessageId),
}

/// The events of an exchange.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "exchange", version = 1)]
pub enum ExchangeEvent {
    /// The person's message was stored; the first attempt begins.
    Started { counsel: CounselId, user: UserId, question: MessageId, text: MessageText, at: Timestamp },
    /// The exchange was retried. The attempt number stays the same while the token of the previous attempt is held.
    Retried { attempt: u32, at: Timestamp },
    /// The reply was stored. This event makes the user service consume the token.
    Replied { counsel: CounselId, user: UserId, reply: MessageId },
    /// The attempt got no reply. This event makes the user service release the token.
    Failed { counsel: CounselId, user: UserId, attempt: u32, reason: String },
}

impl Exchange {
    /// Starts the exchange with the person's message.
    pub fn start(question: &MessageSent, text: MessageText) -> ExchangeEvent {
        let MessageSent { id: question, counsel, user, at, .. } = *question;
        ExchangeEvent::Started { counsel, user, question, text, at }
    }

    /// Checks that a request with this id repeats the same message of the same counsel.
    ///
    /// # Errors
    /// Fails when the id was used for another message or counsel.
    pub fn is_for(&self, counsel: CounselId, text: &MessageText) -> Result<(), CounselError> {
        let same = self.counsel == counsel && self.text == *text;
        if same { Ok(()) } else { Err(CounselError::ExchangeReused) }
    }

    /// Starts another attempt, unless the exchange has its reply.
    pub fn retry(&self, now: Timestamp) -> Option<ExchangeEvent> {
        let attempt = match self.progress {
            Progress::Replied(_) => return None,
            Progress::Pending if now < self.attempt_started_at + HELD_FOR => self.attempt,
            Progress::Pending | Progress::Failed => self.attempt + 1,
        };
        Some(ExchangeEvent::Retried { attempt, at: now })
    }

    /// Completes the exchange with its reply.
    ///
    /// # Errors
    /// Fails when the attempt was given up: its token is released, and the person may have sent another message.
    pub fn reply(&self, reply: MessageId) -> Result<ExchangeEvent, CounselError> {
        let (counsel, user) = (self.counsel, self.user);
        match self.progress {
            Progress::Pending => Ok(ExchangeEvent::Replied { counsel, user, reply }),
            Progress::Failed | Progress::Replied(_) => Err(CounselError::ExchangeEnded),
        }
    }

    /// Gives up an attempt. Changes nothing when another attempt is the current one.
    pub fn fail(&self, attempt: u32, reason: impl Into<String>) -> Option<ExchangeEvent> {
        let (counsel, user) = (self.counsel, self.user);
        let current = self.progress == Progress::Pending && self.attempt == attempt;
        current.then(|| ExchangeEvent::Failed { counsel, user, attempt, reason: reason.into() })
    }

    pub fn progress(&self) -> Progress {
        self.progress
    }
    /// Returns the number of the current attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
    /// Returns the id of the person's message.
    pub fn question(&self) -> MessageId {
        self.question
    }
    pub fn counsel(&self) -> CounselId {
        self.counsel
    }
}

impl Evolve<ExchangeEvent> for Exchange {
    fn create(id: ExchangeId, event: &ExchangeEvent) -> Option<Self> {
        let ExchangeEvent::Started { counsel, user, question, text, at } = event.clone() else { return None };
        Some(Exchange {
            id,
            counsel,
            user,
            question,
            text,
            attempt: 1,
            attempt_started_at: at,
            progress: Progress::Pending,
        })
    }

    fn apply(&mut self, event: &ExchangeEvent) {
        match event {
            ExchangeEvent::Started { .. } => (),
            ExchangeEvent::Retried { attempt, at } => {
                (self.attempt, self.attempt_started_at, self.progress) = (*attempt, *at, Progress::Pending);
            }
            ExchangeEvent::Replied { reply, .. } => self.progress = Progress::Replied(*reply),
            ExchangeEvent::Failed { .. } => self.progress = Progress::Failed,
        }
    }
}
