//! A secret value that logging and error messages cannot print.
use std::fmt;

/// A password or a key. It prints as `***`, so that it cannot reach a log. [`expose`](Self::expose) returns the value.
///
/// ```
/// let secret = cqrs_core::Secret::new("hunter2");
/// assert_eq!(format!("{secret} {secret:?}"), "*** ***");
/// assert_eq!(secret.expose(), "hunter2");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);
impl Secret {
    /// Wraps the value.
    pub fn new(value: impl Into<String>) -> Self {
        Secret(value.into())
    }
    /// Returns the value itself, for code that connects or signs with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
