//! The domain errors of prompts: an invalid field of a request, and a refusal of a version.
use cqrs_core::{DomainError, ErrorKind};
use std::borrow::Cow;

/// The error of a field that is invalid in every state. It names the field as the contract does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidField {
    /// The text is empty, or white space only.
    #[error("must not be empty")]
    Empty { field: &'static str },
    /// The text has a control character, or one that a reader cannot see.
    #[error("visible characters only")]
    Hidden { field: &'static str },
    /// The text is too long, counted in Unicode scalar values.
    #[error("at most {longest} characters")]
    TooLong { field: &'static str, longest: usize },
    /// The number is outside its range.
    #[error("{least} to {most}")]
    OutOfRange { field: &'static str, least: u32, most: u32 },
    /// The minimum of a range is greater than its maximum.
    #[error("must not be less than {minimum}")]
    BelowMinimum { field: &'static str, minimum: &'static str },
    /// The request changes nothing: every optional field is absent.
    #[error("at least one field to change")]
    NothingToChange { field: &'static str },
    /// The list has no entry, or too many.
    #[error("1 to {most} entries")]
    Entries { field: &'static str, most: usize },
}
impl DomainError for InvalidField {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
    fn reason(&self) -> Cow<'static, str> {
        match self {
            InvalidField::Empty { .. } => "EMPTY",
            InvalidField::Hidden { .. } => "HIDDEN",
            InvalidField::TooLong { .. } => "TOO_LONG",
            InvalidField::OutOfRange { .. } => "OUT_OF_RANGE",
            InvalidField::BelowMinimum { .. } => "BELOW_MINIMUM",
            InvalidField::NothingToChange { .. } => "NOTHING_TO_CHANGE",
            InvalidField::Entries { .. } => "ENTRIES",
        }
        .into()
    }
    fn field(&self) -> Option<&'static str> {
        match self {
            InvalidField::Empty { field }
            | InvalidField::Hidden { field }
            | InvalidField::TooLong { field, .. }
            | InvalidField::OutOfRange { field, .. }
            | InvalidField::BelowMinimum { field, .. }
            | InvalidField::NothingToChange { field }
            | InvalidField::Entries { field, .. } => Some(field),
        }
    }
}

/// A refusal of a prompt version or of a part of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, DomainError)]
pub enum PromptError {
    /// The version is saved or deleted, so its prompts, techniques and rules cannot change.
    #[error("only prompts of the temporary version can be changed")]
    #[kind(forbidden)]
    NotTemporary,
    /// The version must be saved before it can be activated.
    #[error("the version is temporary; save it first")]
    #[kind(precondition)]
    Temporary,
    /// New counsels use the version.
    #[error("the version is active; activate another one first")]
    #[kind(precondition)]
    Active,
    /// The version was deleted; it can only be read.
    #[error("the version is deleted")]
    #[kind(precondition)]
    Deleted,
    /// No version is temporary.
    #[error("there is no temporary version")]
    #[kind(not_found)]
    NoTemporaryVersion,
    /// The version has no such technique.
    #[error("there is no such technique in the version")]
    #[kind(not_found)]
    NoTechnique,
    /// The version has no such rule.
    #[error("there is no such rule in the version")]
    #[kind(not_found)]
    NoRule,
    /// Another technique of the version is the start technique of the tone.
    #[error("the tone has another start technique")]
    #[kind(already_exists)]
    #[field("is_start_technique")]
    StartTechniqueExists,
    /// A rule leads from a technique to itself.
    #[error("must differ from from_counsel_technique_id")]
    #[kind(invalid)]
    #[field("to_counsel_technique_id")]
    SameTechnique,
    /// The version has as many techniques as it may have.
    #[error("a version has at most 200 techniques")]
    #[kind(precondition)]
    TooManyTechniques,
    /// The version has as many rules as it may have.
    #[error("a version has at most 1,000 rules")]
    #[kind(precondition)]
    TooManyRules,
}
