//! Text from outside becomes ids, cursors and limits, or a refusal that names the field.
use crate::application::queries::Part;
use cqrs_core::{BadCursor, Cursor};
use std::str::FromStr;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// A list's length when nobody says otherwise.
const USUAL: i32 = 100;
/// The longest.
const LONGEST: i32 = 1000;

/// An id in the field of this name.
pub(super) fn id<T: FromStr>(field: &'static str, text: &str) -> Result<T, Status> {
    text.parse().map_err(|_| invalid(field, "not an id"))
}

/// An id that may be absent.
pub(super) fn optional<T: FromStr>(field: &'static str, text: Option<&str>) -> Result<Option<T>, Status> {
    text.map(|text| id(field, text)).transpose()
}

/// Where a list starts and how long it is.
pub(super) fn part(after: Option<&str>, limit: Option<i32>) -> Result<Part, Status> {
    let after = after.map(str::parse::<Cursor>).transpose();
    let after = after.map_err(|error: BadCursor| invalid("after", error.to_string()))?;
    match limit.unwrap_or(USUAL) {
        limit @ 1..=LONGEST => Ok(Part { after, limit: limit.unsigned_abs() as usize }),
        _ => Err(invalid("limit", format!("1 to {LONGEST}"))),
    }
}

/// INVALID_ARGUMENT, naming the field at fault.
pub(super) fn invalid(field: &'static str, why: impl Into<String>) -> Status {
    let why = why.into();
    let mut details = ErrorDetails::with_bad_request_violation(field, &why);
    details.set_error_info("INVALID", crate::NAME, []);
    Status::with_error_details(Code::InvalidArgument, format!("{field}: {why}"), details)
}
