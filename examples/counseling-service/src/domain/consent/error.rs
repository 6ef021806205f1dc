//! The domain errors of consents.
use super::ConsentKind;
use cqrs_core::DomainError;

/// A refusal that concerns a consent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, DomainError)]
pub enum ConsentError {
    /// The person has not consented to the processing of their messages, or not to the current text.
    #[error("consent to the processing of sensitive data is required first")]
    #[kind(precondition)]
    #[reason("CONSENT_REQUIRED")]
    SensitiveDataRequired,
    /// The person has not consented that a language model receives their messages, or not to the current text.
    #[error("consent to the use of a language model abroad is required first")]
    #[kind(precondition)]
    #[reason("CONSENT_REQUIRED")]
    ForeignModelRequired,
    /// The consent is to another version of the text than the current one.
    #[error("the current version of the text")]
    #[kind(invalid)]
    #[field("text_version")]
    TextVersion,
    /// The birthday is not a date from 1900 to today.
    #[error("a day from 1900 to today, YYYY-MM-DD")]
    #[kind(invalid)]
    #[field("birthday")]
    Birthday,
    /// The person is younger than 14.
    #[error("people under 14 cannot consent alone")]
    #[kind(precondition)]
    #[field("birthday")]
    UnderAge,
}
impl ConsentError {
    pub(super) fn required(kind: ConsentKind) -> Self {
        match kind {
            ConsentKind::SensitiveData => ConsentError::SensitiveDataRequired,
            ConsentKind::ForeignModel => ConsentError::ForeignModelRequired,
        }
    }
}
