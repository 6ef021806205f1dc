//! An exchange: a person's message and its reply, as the one thing that a token buys. Its id comes from outside, and is claimed once.
use super::{CounselError, CounselId, MessageId, Said, UserId, Words};
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

cqrs_core::id!(
    /// Identifies an exchange, here and in the person's wallet.
    pub ExchangeId
);

/// How long a wallet holds a token for one attempt. Asked again later, it is held anew.
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
    words: Words,
    attempt: u32,
    asked_at: Timestamp,
    progress: Progress,
}

/// How far an exchange is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// Somebody is to answer.
    Asked,
    /// Nobody could; it may be asked again.
    Failed,
    /// Answered, for good.
    Replied(MessageId),
}

/// What happens to an exchange.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "exchange", version = 1)]
#[allow(missing_docs, reason = "named for what they hold")]
pub enum ExchangeEvent {
    /// The person's message was kept; the first attempt begins.
    Asked { id: ExchangeId, counsel: CounselId, user: UserId, question: MessageId, words: Words, at: Timestamp },
    /// A later attempt begins; it has the same number if the token of the one before is still held.
    AskedAgain { attempt: u32, at: Timestamp },
    /// The reply was kept. This is what spends the token.
    Replied { id: ExchangeId, counsel: CounselId, user: UserId, reply: MessageId },
    /// No reply came of this attempt. This is what gives the token back.
    Failed { id: ExchangeId, counsel: CounselId, user: UserId, attempt: u32, reason: String },
}

impl Exchange {
    /// Claims the id for what the person said.
    pub fn ask(id: ExchangeId, question: &Said, words: Words) -> ExchangeEvent {
        let Said { id: question, counsel, user, at, .. } = *question;
        ExchangeEvent::Asked { id, counsel, user, question, words, at }
    }

    /// Makes sure that it is the same exchange: the same message of the same counsel.
    ///
    /// # Errors
    /// The id was used for another.
    pub fn is_for(&self, counsel: CounselId, words: &Words) -> Result<(), CounselError> {
        let same = self.counsel == counsel && self.words == *words;
        if same { Ok(()) } else { Err(CounselError::ExchangeReused) }
    }

    /// Asks again, unless it was answered.
    pub fn ask_again(&self, now: Timestamp) -> Option<ExchangeEvent> {
        let attempt = match self.progress {
            Progress::Replied(_) => return None,
            Progress::Asked if now < self.asked_at + HELD_FOR => self.attempt,
            Progress::Asked | Progress::Failed => self.attempt + 1,
        };
        Some(ExchangeEvent::AskedAgain { attempt, at: now })
    }

    /// The reply has come.
    ///
    /// # Errors
    /// When it was given up: its token is back, and the person may have gone on.
    pub fn reply(&self, reply: MessageId) -> Result<ExchangeEvent, CounselError> {
        let (id, counsel, user) = (self.id, self.counsel, self.user);
        match self.progress {
            Progress::Asked => Ok(ExchangeEvent::Replied { id, counsel, user, reply }),
            Progress::Failed | Progress::Replied(_) => Err(CounselError::ExchangeEnded),
        }
    }

    /// No reply came of an attempt. Says nothing about another attempt.
    pub fn fail(&self, attempt: u32, reason: impl Into<String>) -> Option<ExchangeEvent> {
        let (id, counsel, user) = (self.id, self.counsel, self.user);
        let current = self.progress == Progress::Asked && self.attempt == attempt;
        current.then(|| ExchangeEvent::Failed { id, counsel, user, attempt, reason: reason.into() })
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress
    }
    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
    /// What the person said.
    pub fn question(&self) -> MessageId {
        self.question
    }
    /// Where they said it.
    pub fn counsel(&self) -> CounselId {
        self.counsel
    }
}

impl Evolve<ExchangeEvent> for Exchange {
    fn create(event: &ExchangeEvent) -> Option<Self> {
        let ExchangeEvent::Asked { id, counsel, user, question, words, at } = event.clone() else { return None };
        Some(Exchange { id, counsel, user, question, words, attempt: 1, asked_at: at, progress: Progress::Asked })
    }

    fn apply(&mut self, event: &ExchangeEvent) {
        match event {
            ExchangeEvent::Asked { .. } => (),
            ExchangeEvent::AskedAgain { attempt, at } => {
                (self.attempt, self.asked_at, self.progress) = (*attempt, *at, Progress::Asked);
            }
            ExchangeEvent::Replied { reply, .. } => self.progress = Progress::Replied(*reply),
            ExchangeEvent::Failed { .. } => self.progress = Progress::Failed,
        }
    }
}
