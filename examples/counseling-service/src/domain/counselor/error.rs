//! The domain errors of counsellors, bubbles and tones.
use cqrs_core::DomainError;

/// A refusal of a counsellor, a bubble or a tone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, DomainError)]
#[kind(invalid)]
pub enum CounselorError {
    /// The name of a counsellor or a tone is empty or too long.
    #[error("1 to 20 characters")]
    #[field("name")]
    Name,
    /// The description of a counsellor or a tone is empty or too long.
    #[error("1 to 100 characters")]
    #[field("description")]
    Description,
    /// The question of a bubble is empty.
    #[error("must not be empty")]
    #[field("question")]
    Question,
    /// A chosen option becomes the person's message, so the limit of a message text applies.
    #[error("1 to 80 characters")]
    #[field("response_option")]
    ResponseOption,
}
