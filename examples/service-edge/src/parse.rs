//! Parses the fields of request messages; an error names the field.
//!
//! ```
//! use service_edge::parse::{self, BadRequest};
//!
//! let id: Result<uuid::Uuid, _> = parse::id("counsel_id", "none");
//! assert_eq!(id, Err(BadRequest::Id("counsel_id")));
//! assert_eq!(parse::page(None, Some(0)), Err(BadRequest::Limit));
//! ```
use cqrs_core::{Cursor, DomainError, ErrorKind, PAGE_LIMIT, grpc};
use std::{borrow::Cow, str::FromStr};
use tonic::Status;

/// The length of a page when the request sets none.
const USUAL: i32 = 100;

/// The error of an invalid field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// The field is not an id.
    #[error("a UUID")]
    Id(&'static str),
    /// The field has a number that its enum does not have.
    #[error("one of the contract's values")]
    Value(&'static str),
    /// The field `after` is not a cursor.
    #[error("the `next` of the page before")]
    After,
    /// The field `limit` is out of range.
    #[error("1 to {PAGE_LIMIT}")]
    Limit,
}
impl BadRequest {
    fn name(&self) -> &'static str {
        match self {
            BadRequest::Id(field) | BadRequest::Value(field) => field,
            BadRequest::After => "after",
            BadRequest::Limit => "limit",
        }
    }
}
impl DomainError for BadRequest {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
    fn reason(&self) -> Cow<'static, str> {
        self.name().to_uppercase().into()
    }
    fn field(&self) -> Option<&'static str> {
        Some(self.name())
    }
}

impl From<BadRequest> for Status {
    fn from(bad: BadRequest) -> Self {
        grpc::status_of(&bad)
    }
}

/// Parses an id.
///
/// # Errors
/// Fails when the text is not an id.
pub fn id<T: FromStr>(field: &'static str, text: &str) -> Result<T, BadRequest> {
    text.parse().map_err(|_| BadRequest::Id(field))
}

/// Parses an optional id.
///
/// # Errors
/// Fails when the text is not an id.
pub fn optional_id<T: FromStr>(field: &'static str, text: Option<&str>) -> Result<Option<T>, BadRequest> {
    text.map(|text| id(field, text)).transpose()
}

/// Converts the number of an enum.
///
/// # Errors
/// Fails when the contract has no such value.
pub fn value<T: TryFrom<i32>>(field: &'static str, number: i32) -> Result<T, BadRequest> {
    number.try_into().map_err(|_| BadRequest::Value(field))
}

/// Parses the start and the length of a page.
///
/// # Errors
/// Fails when `after` is not a cursor, and when `limit` is not 1 to [`PAGE_LIMIT`].
pub fn page(after: Option<&str>, limit: Option<i32>) -> Result<(Option<Cursor>, usize), BadRequest> {
    let after = after.map(|text| text.parse().map_err(|_| BadRequest::After)).transpose()?;
    let limit = usize::try_from(limit.unwrap_or(USUAL)).ok().filter(|limit| (1..=PAGE_LIMIT).contains(limit));
    Ok((after, limit.ok_or(BadRequest::Limit)?))
}

#[cfg(test)]
mod tests {
    use super::{BadRequest, page, value};
    use cqrs_core::{PAGE_LIMIT, grpc::details};
    use tonic::{Code, Status};

    #[test]
    fn a_bad_field_becomes_invalid_argument_with_its_name() {
        for (bad, reason, field) in [
            (BadRequest::Id("bubble_id"), "BUBBLE_ID", "bubble_id"),
            (BadRequest::Value("gender"), "GENDER", "gender"),
            (BadRequest::After, "AFTER", "after"),
            (BadRequest::Limit, "LIMIT", "limit"),
        ] {
            let status = Status::from(bad);
            let details = details(&status);
            assert_eq!((status.code(), details.reason.as_deref()), (Code::InvalidArgument, Some(reason)));
            assert_eq!(details.fields, [(field.to_owned(), bad.to_string())]);
        }
    }
    #[test]
    fn a_page_has_a_hundred_items_unless_the_request_sets_a_limit() {
        assert_eq!(page(None, None), Ok((None, 100)));
        let longest = i32::try_from(PAGE_LIMIT).unwrap();
        assert_eq!(page(None, Some(longest)), Ok((None, PAGE_LIMIT)));
        for limit in [i32::MIN, 0, longest + 1] {
            assert_eq!(page(None, Some(limit)), Err(BadRequest::Limit), "{limit}");
        }
        assert_eq!(page(Some("no cursor"), None), Err(BadRequest::After));
    }
    #[test]
    fn an_unknown_enum_number_is_refused() {
        assert_eq!(value::<u8>("gender", 2), Ok(2));
        assert_eq!(value::<u8>("gender", 2000), Err(BadRequest::Value("gender")));
    }
}
