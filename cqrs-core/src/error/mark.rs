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
