//! What a person may not.
use super::{nickname, profile};
use cqrs_core::DomainError;

/// Why something about a person was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, DomainError)]
pub enum UserError {
    /// An update without a single field.
    #[error("at least one field to change")]
    #[kind(invalid)]
    NothingToUpdate,
    /// Not a nickname.
    #[error("1 to {max} characters, none of them a control character", max = nickname::LONGEST)]
    #[kind(invalid)]
    #[field("nickname")]
    Nickname,
    /// Not the URL of a picture.
    #[error("a URL of at most {max} characters, without spaces", max = profile::LONGEST_URL)]
    #[kind(invalid)]
    #[field("profile_image")]
    ProfileImage,
    /// Not a Korean mobile number.
    #[error("a Korean mobile number, as in 010-1234-5678")]
    #[kind(invalid)]
    #[field("phone_number")]
    PhoneNumber,
    /// Not a date.
    #[error("a date, as in 1990-01-31")]
    #[kind(invalid)]
    #[field("birthday")]
    Birthday,
    /// Too much said of oneself.
    #[error("at most {max} characters", max = profile::LONGEST_INTRODUCTION)]
    #[kind(invalid)]
    #[field("introduction")]
    Introduction,
    /// Not one of the sixteen.
    #[error("a Myers-Briggs type, as in INFP")]
    #[kind(invalid)]
    #[field("mbti")]
    Mbti,
    /// Nothing left to hold.
    #[error("no message tokens are left")]
    #[kind(exhausted)]
    NoRemainingTokens,
}
