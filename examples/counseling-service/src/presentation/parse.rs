//! Parses ids, cursors and limits of requests; an error names the field.
use crate::{application::queries::Part, domain::counsel::CounselError};
use cqrs_core::{DomainError, PAGE_LIMIT, grpc};
use std::str::FromStr;
use tonic::Status;

/// The default length of a list.
const USUAL: i32 = 100;

/// The error of an invalid request. It names the field.
#[derive(Debug, PartialEq, Eq, thiserror::Error, DomainError)]
#[kind(invalid)]
pub enum BadRequest {
    #[error("a UUID")]
    #[field("user_id")]
    UserId,
    #[error("a UUID")]
    #[field("counselor_id")]
    CounselorId,
    #[error("a UUID")]
    #[field("counsel_id")]
    CounselId,
    #[error("a UUID")]
    #[field("message_id")]
    MessageId,
    #[error("a UUID")]
    #[field("bubble_id")]
    BubbleId,
    #[error("a UUID")]
    #[field("tone_id")]
    ToneId,
    #[error("a UUID")]
    #[field("prompt_version_id")]
    PromptVersionId,
    #[error("a UUID")]
    #[field("exchange_id")]
    ExchangeId,
    #[error("the `next` of the page before")]
    #[field("after")]
    After,
    #[error("1 to {PAGE_LIMIT}")]
    #[field("limit")]
    Limit,
    #[error("required when response_option_no is set")]
    #[field("bubble_id")]
    NoBubble,
    #[error("1 or 2")]
    #[field("response_option_no")]
    Option,
    #[error("like or dislike")]
    #[field("reaction")]
    Reaction,
    #[error(transparent)]
    #[kind(transparent)]
    Counsel(#[from] CounselError),
}

impl From<BadRequest> for Status {
    fn from(bad: BadRequest) -> Self {
        grpc::status_of(&bad)
    }
}

/// Parses an id.
pub(super) fn id<T: FromStr>(text: &str, wrong: BadRequest) -> Result<T, BadRequest> {
    text.parse().map_err(|_| wrong)
}

/// Parses an optional id.
pub(super) fn optional<T: FromStr>(text: Option<&str>, wrong: BadRequest) -> Result<Option<T>, BadRequest> {
    text.map(|text| id(text, wrong)).transpose()
}

/// Parses the start and the length of a list.
pub(super) fn part(after: Option<&str>, limit: Option<i32>) -> Result<Part, BadRequest> {
    let after = optional(after, BadRequest::After)?;
    let limit = usize::try_from(limit.unwrap_or(USUAL)).ok().filter(|limit| (1..=PAGE_LIMIT).contains(limit));
    Ok(Part { after, limit: limit.ok_or(BadRequest::Limit)? })
}
