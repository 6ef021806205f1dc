//! The domain errors of counsels, messages and exchanges.
use crate::domain::consent::ConsentError;
use cqrs_core::DomainError;
use std::time::Duration;

/// A refusal of a counsel, a message or an exchange.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, DomainError)]
pub enum CounselError {
    /// The message is empty, or white space only.
    #[error("must not be empty")]
    #[kind(invalid)]
    #[field("message")]
    MessageEmpty,
    /// The message is too long, counted in Unicode scalar values.
    #[error("at most 80 characters")]
    #[kind(invalid)]
    #[field("message")]
    MessageTooLong,
    /// The message has a control character, or one that a reader cannot see.
    #[error("visible characters only")]
    #[kind(invalid)]
    #[field("message")]
    MessageHidden,
    /// Another exchange of the counsel is waiting for its reply, at most for the time `wait`.
    #[error("the counsellor is still answering another message of this counsel")]
    #[kind(exhausted)]
    #[reason("COUNSEL_BUSY")]
    Busy { wait: Duration },
    /// This exchange is waiting for its reply, at most for the time `wait`; the same request returns it later.
    #[error("this message is being answered; the same request will get the reply")]
    #[kind(unavailable)]
    BeingAnswered { wait: Duration },
    /// The exchange id belongs to another message or another counsel.
    #[error("this exchange id was used for another message")]
    #[kind(already_exists)]
    ExchangeReused,
    /// The exchange was given up or retried before this reply arrived.
    #[error("the exchange has ended meanwhile")]
    #[kind(conflict)]
    ExchangeEnded,
    /// The key of the request has opened a counsel in another way.
    #[error("this key was used for another opening")]
    #[kind(already_exists)]
    #[reason("OPENING_REUSED")]
    OpeningReused,
    /// The wallet holds no token for the exchange.
    #[error("no token is held for this message: reserve one first")]
    #[kind(precondition)]
    NoReservation,
    /// The person has opened too many counsels within the period.
    #[error("too many counsels were opened in the last thirty days")]
    #[kind(exhausted)]
    TooManyCounsels,
    /// The calls of the language model are used up for today.
    #[error("the counsellors have answered as many messages as they can today")]
    #[kind(exhausted)]
    ModelBudgetUsedUp,
    /// The person has not consented to the processing of messages.
    #[error(transparent)]
    #[kind(transparent)]
    Consent(#[from] ConsentError),
    /// Only messages of the counsellor accept a reaction.
    #[error("only the counsellor's messages can be reacted to")]
    #[kind(precondition)]
    NotTheCounselors,
    /// The message has a reaction, which cannot be changed.
    #[error("there is a reaction already")]
    #[kind(already_exists)]
    AlreadyReacted,
    /// No prompt version is active.
    #[error("no prompt version is active")]
    #[kind(not_found)]
    NoActiveVersion,
    /// The prompt version has no start technique for the counsellor's tone.
    #[error("the prompt version has no start technique for this counsellor")]
    #[kind(not_found)]
    NoStartTechnique,
}

impl CounselError {
    /// Returns the time after which the same request can succeed, where it is known.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            CounselError::Busy { wait } | CounselError::BeingAnswered { wait } => Some(*wait),
            _ => None,
        }
    }
}
