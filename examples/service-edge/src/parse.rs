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

/// The longest page that a request may ask for, and the length of a page after another one.
const LONGEST: usize = 100;

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
    #[error("1 to {LONGEST}")]
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

/// Parses the start and the length of a page. With neither, the page has up to [`PAGE_LIMIT`] items, since a client of the
/// original expects the whole list.
///
/// # Errors
/// Fails when `after` is not the `next` of a page, and when `limit` is not 1 to 100.
pub fn page(after: Option<&str>, limit: Option<i32>) -> Result<(Option<Cursor>, usize), BadRequest> {
    let after: Option<Cursor> = after.map(|text| text.parse().map_err(|_| BadRequest::After)).transpose()?;
    if after.as_ref().is_some_and(Cursor::is_backwards) {
        return Err(BadRequest::After);
    }
    let limit = match (&after, limit) {
        (None, None) => PAGE_LIMIT,
        (Some(_), None) => LONGEST,
        (_, Some(limit)) => {
            let limit = usize::try_from(limit).ok().filter(|limit| (1..=LONGEST).contains(limit));
            limit.ok_or(BadRequest::Limit)?
        }
    };
    Ok((after, limit))
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
    fn a_list_is_whole_unless_the_request_asks_for_a_page() {
        assert_eq!(page(None, None), Ok((None, PAGE_LIMIT)));
        assert_eq!(page(None, Some(100)), Ok((None, 100)));
        // A direction, a range of eight bytes, the length of an entry without bytes, and the key "key".
        let (next, previous) = ("AAAAAAAAAAAAAAAAAGtleQ", "AQAAAAAAAAAAAAAAAGtleQ");
        assert_eq!(page(Some(next), None), Ok((Some(next.parse().unwrap()), 100)));
        assert_eq!(page(Some(next), Some(7)), Ok((Some(next.parse().unwrap()), 7)));
        assert_eq!(page(Some(previous), None), Err(BadRequest::After), "a page before another one is no list");
        for limit in [i32::MIN, 0, 101] {
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
