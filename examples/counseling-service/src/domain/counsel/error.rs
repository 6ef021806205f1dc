//! What a counsel refuses.
use cqrs_core::DomainError;

/// What a counsel, its messages and its exchanges refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, DomainError)]
pub enum CounselError {
    /// Nothing, or white space only.
    #[error("must not be empty")]
    #[kind(invalid)]
    #[field("message")]
    MessageEmpty,
    /// In Unicode scalar values.
    #[error("at most 80 characters")]
    #[kind(invalid)]
    #[field("message")]
    MessageTooLong,
    /// Another exchange is being answered.
    #[error("the counsellor is still answering another message of this counsel")]
    #[kind(exhausted)]
    Busy,
    /// This very exchange is being answered: ask again for its reply.
    #[error("this message is being answered; the same request will get the reply")]
    #[kind(unavailable)]
    BeingAnswered,
    /// An exchange is one message in one counsel.
    #[error("this exchange id was used for another message")]
    #[kind(already_exists)]
    ExchangeReused,
    /// It was given up, or asked again, before this reply came.
    #[error("the exchange has ended meanwhile")]
    #[kind(conflict)]
    ExchangeEnded,
    /// Reactions are for what the counsellor says.
    #[error("only the counsellor's messages can be reacted to")]
    #[kind(precondition)]
    NotTheCounselors,
    /// A reaction stays.
    #[error("there is a reaction already")]
    #[kind(already_exists)]
    AlreadyReacted,
    /// Nobody has activated one.
    #[error("no prompt version is active")]
    #[kind(not_found)]
    NoActiveVersion,
    /// The version says nothing of how to start with the counsellor's tone.
    #[error("the prompt version has no start technique for this counsellor")]
    #[kind(not_found)]
    NoStartTechnique,
}
