//! What counsellors, bubbles and tones refuse.
use cqrs_core::DomainError;

/// What counsellors, bubbles and tones refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, DomainError)]
#[kind(invalid)]
pub enum CounselorError {
    /// Of a counsellor or a tone.
    #[error("1 to 20 characters")]
    #[field("name")]
    Name,
    /// Of a counsellor or a tone.
    #[error("1 to 100 characters")]
    #[field("description")]
    Description,
    /// A bubble asks something.
    #[error("must not be empty")]
    #[field("question")]
    Question,
    /// A chosen option is said by the person, so it is as short as what a person can say.
    #[error("1 to 80 characters")]
    #[field("response_option")]
    ResponseOption,
}
