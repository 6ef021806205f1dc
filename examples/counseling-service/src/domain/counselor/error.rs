//! The domain errors of counsellors, bubbles and tones.
use cqrs_core::DomainError;

/// A refusal of a counsellor, a bubble or a tone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, DomainError)]
#[kind(invalid)]
pub enum CounselorError {
    /// The name of a counsellor or a tone is empty, too long, or has invisible characters.
    #[error("1 to 20 visible characters")]
    #[field("name")]
    Name,
    /// The description of a counsellor or a tone is empty, too long, or has invisible characters.
    #[error("1 to 100 visible characters")]
    #[field("description")]
    Description,
    /// The picture is not one that was uploaded.
    #[error("the public URL of an uploaded image, or empty")]
    #[field("profile_image")]
    ProfileImage,
    /// The question of a bubble is empty, too long, or has invisible characters.
    #[error("1 to 500 visible characters")]
    #[field("question")]
    Question,
    /// A chosen option becomes the person's message, so the limit of a message text applies.
    #[error("1 to 80 visible characters")]
    #[field("response_option1")]
    ResponseOption1,
    /// The same for the second option.
    #[error("1 to 80 visible characters")]
    #[field("response_option2")]
    ResponseOption2,
    /// The request names no field to change.
    #[error("at least one field to change is required")]
    NothingToUpdate,
}
