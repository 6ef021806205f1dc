//! The domain errors of a person.
use super::{nickname, profile};
use cqrs_core::DomainError;

/// A refusal of a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, DomainError)]
pub enum UserError {
    /// The update changes no field.
    #[error("at least one field to change")]
    #[kind(invalid)]
    NothingToUpdate,
    /// The nickname is invalid.
    #[error("1 to {max} visible characters", max = nickname::LONGEST)]
    #[kind(invalid)]
    #[field("nickname")]
    Nickname,
    /// The URL of the picture is invalid.
    #[error("an https URL of at most {max} characters, without spaces", max = profile::LONGEST_URL)]
    #[kind(invalid)]
    #[field("profile_image")]
    ProfileImage,
    /// The phone number is not a Korean mobile number.
    #[error("a Korean mobile number, as in 010-1234-5678")]
    #[kind(invalid)]
    #[field("phone_number")]
    PhoneNumber,
    /// The birthday is not a date, or not one between 1900 and today.
    #[error("a date from 1900 to today, as in 1990-01-31")]
    #[kind(invalid)]
    #[field("birthday")]
    Birthday,
    /// The introduction is too long, only white space, or has invisible characters.
    #[error("at most {max} visible characters", max = profile::LONGEST_INTRODUCTION)]
    #[kind(invalid)]
    #[field("introduction")]
    Introduction,
    /// The type is not one of the sixteen Myers-Briggs types.
    #[error("a Myers-Briggs type, as in INFP")]
    #[kind(invalid)]
    #[field("mbti")]
    Mbti,
}
