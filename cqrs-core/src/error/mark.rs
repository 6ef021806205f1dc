//! Marks of errors, by which a caller of the framework says whether another attempt can succeed.
use crate::error::BoxError;
use std::{error::Error, fmt};

/// Marks an error as permanent: another attempt cannot succeed, so the message is parked at once.
///
/// ```
/// use cqrs_core::{BoxError, permanent};
///
/// fn amount(text: &str) -> Result<u64, BoxError> {
///     text.parse().map_err(permanent)
/// }
/// assert_eq!(amount("many").unwrap_err().to_string(), "invalid digit found in string");
/// ```
pub fn permanent(error: impl Into<BoxError>) -> BoxError {
    Box::new(Permanent(error.into()))
}
/// Marks an error as transient: a component is down or busy, so a later attempt can succeed. The message is tried again
/// without limit and is never parked for this error.
///
/// The framework recognizes such errors of the standard library, tokio, sqlx and tonic, also as the cause of another
/// error. Errors of other crates need the mark.
///
/// ```
/// use cqrs_core::{BoxError, transient};
///
/// /// Tells errors of an HTTP client apart: the server is overloaded, or it has refused the request.
/// fn checked(status: u16) -> Result<(), BoxError> {
///     match status {
///         200..=299 => Ok(()),
///         429 | 500..=599 => Err(transient(format!("the mail server responds with {status}"))),
///         _ => Err(format!("the mail server refuses the mail with {status}").into()),
///     }
/// }
/// assert!(checked(503).is_err());
/// ```
pub fn transient(error: impl Into<BoxError>) -> BoxError {
    Box::new(Transient(error.into()))
}
/// A transient error; see [`transient`].
#[derive(Debug)]
pub struct Transient(pub(super) BoxError);
impl fmt::Display for Transient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl Error for Transient {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// A permanent error; see [`permanent`].
#[derive(Debug)]
pub struct Permanent(pub(super) BoxError);
impl fmt::Display for Permanent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl Error for Permanent {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
