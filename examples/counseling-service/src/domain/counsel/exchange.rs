//! An exchange: a person's message and its reply, for which one token is consumed. An exchange in a crisis costs nothing.
//! Its id is that of the reservation in the person's wallet, which also counts the attempts.
use super::{CounselError, CounselId, CounselMessage, MessageId, MessageSent, MessageText, UserId};
use crate::domain::crisis::Crisis;
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

cqrs_core::id!(
    /// Identifies an exchange, here and in the person's wallet.
    pub ExchangeId
);

/// The time for which an attempt is waited for. Longer than a responder may take, shorter than a token is held.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// A person's message and its reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "exchange", event = ExchangeEvent)]
pub struct Exchange {
    #[id]
    id: ExchangeId,
    counsel: CounselId,
    user: UserId,
    question: MessageId,
    crisis: Option<Crisis>,
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
    /// The person's message was stored. `attempt` is the hold in the wallet.
    Started {
        counsel: CounselId,
        user: UserId,
        question: MessageId,
        crisis: Option<Crisis>,
        attempt: u32,
        at: Timestamp,
    },
    /// The exchange was retried. `attempt` is the hold in the wallet, which may be that of the attempt before.
    Retried { attempt: u32, at: Timestamp },
    /// The reply was stored. This event makes the user service consume the token, or release the hold of this attempt when
    /// the exchange is free.
    Replied { counsel: CounselId, user: UserId, reply: MessageId, attempt: u32, is_free: bool },
    /// The attempt got no reply. This event makes the user service release the token.
    Failed { counsel: CounselId, user: UserId, attempt: u32, reason: String },
}

impl Exchange {
    /// Starts the exchange with the person's message, which may speak of a crisis. `attempt` is the hold in the wallet.
    pub fn start(question: &MessageSent, crisis: Option<Crisis>, attempt: u32) -> ExchangeEvent {
        let MessageSent { id: question, counsel, user, at, .. } = *question;
        ExchangeEvent::Started { counsel, user, question, crisis, attempt, at }
    }

    /// Checks that a request with this id repeats the same message of the same counsel. `question` is the message of the
    /// exchange.
    ///
    /// # Errors
    /// Fails when the id was used for another message or counsel.
    pub fn is_for(
        &self,
        counsel: CounselId,
        question: &CounselMessage,
        text: &MessageText,
    ) -> Result<(), CounselError> {
        let same = self.counsel == counsel && question.sent().text == text.as_str();
        if same { Ok(()) } else { Err(CounselError::ExchangeReused) }
    }

    /// Starts another attempt with the wallet's current hold.
    ///
    /// # Errors
    /// Fails while an attempt is waiting for its reply, and when the reply is stored.
    pub fn retry(&self, attempt: u32, now: Timestamp) -> Result<ExchangeEvent, CounselError> {
        match self.progress {
            Progress::Replied(_) => Err(CounselError::ExchangeEnded),
            Progress::Pending | Progress::Failed => {
                self.is_not_being_answered(now)?;
                Ok(ExchangeEvent::Retried { attempt, at: now })
            }
        }
    }

    /// Makes room for another exchange of the counsel. An overdue attempt is given up: the process that should have
    /// replied has crashed.
    ///
    /// # Errors
    /// Fails while this exchange is waiting for its reply.
    pub fn make_room(&self, now: Timestamp) -> Result<Option<ExchangeEvent>, CounselError> {
        if let Some(wait) = self.open_for(now) {
            return Err(CounselError::Busy { wait });
        }
        Ok(self.fail(self.attempt, "no reply within the time limit"))
    }

    /// Completes the exchange with its reply.
    ///
    /// # Errors
    /// Fails when the attempt was given up: its token is released, and the person may have sent another message.
    pub fn reply(&self, reply: MessageId) -> Result<ExchangeEvent, CounselError> {
        let Exchange { counsel, user, attempt, .. } = *self;
        // Asking for help costs nothing.
        let is_free = self.crisis.is_some();
        match self.progress {
            Progress::Pending => Ok(ExchangeEvent::Replied { counsel, user, reply, attempt, is_free }),
            Progress::Failed | Progress::Replied(_) => Err(CounselError::ExchangeEnded),
        }
    }

    /// Gives up an attempt. Changes nothing when another attempt is the current one.
    pub fn fail(&self, attempt: u32, reason: impl Into<String>) -> Option<ExchangeEvent> {
        let (counsel, user) = (self.counsel, self.user);
        let current = self.progress == Progress::Pending && self.attempt == attempt;
        current.then(|| ExchangeEvent::Failed { counsel, user, attempt, reason: reason.into() })
    }

    /// Checks that no attempt is waiting for its reply.
    ///
    /// # Errors
    /// Fails while one is waiting: the same request returns its reply later.
    pub fn is_not_being_answered(&self, now: Timestamp) -> Result<(), CounselError> {
        self.open_for(now).map_or(Ok(()), |wait| Err(CounselError::BeingAnswered { wait }))
    }
    /// Returns the time for which the current attempt may still wait for its reply. A process that has crashed keeps it
    /// open so long.
    fn open_for(&self, now: Timestamp) -> Option<Duration> {
        let overdue_at = self.attempt_started_at + ANSWERED_WITHIN;
        let is_open = self.progress == Progress::Pending && now < overdue_at;
        is_open.then(|| (overdue_at - now).to_std().unwrap_or_default())
    }
    pub fn progress(&self) -> Progress {
        self.progress
    }
    /// Returns the wallet's number of the current attempt.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
    /// Returns the id of the person's message.
    pub fn question(&self) -> MessageId {
        self.question
    }
    /// Returns the crisis that the person's message spoke of.
    pub fn crisis(&self) -> Option<Crisis> {
        self.crisis
    }
    pub fn counsel(&self) -> CounselId {
        self.counsel
    }
    pub fn user(&self) -> UserId {
        self.user
    }
}

impl Evolve<ExchangeEvent> for Exchange {
    fn create(id: ExchangeId, event: &ExchangeEvent) -> Option<Self> {
        let ExchangeEvent::Started { counsel, user, question, crisis, attempt, at } = *event else { return None };
        let progress = Progress::Pending;
        Some(Exchange { id, counsel, user, question, crisis, attempt, attempt_started_at: at, progress })
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
