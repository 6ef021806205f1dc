//! A personal value that debug output cannot show.
use serde::{Deserialize, Serialize};
use std::{fmt, ops::Deref};

/// A value whose debug output is `***`. It is stored and sent as the value itself, so it takes the place of a `String`
/// in a type without a change of the stored form.
///
/// It has no `Display`, so a log line or an error message can show it only where the code says so.
///
/// ```
/// use cqrs_core::personal::Personal;
///
/// let email = Personal::new("kim@example.org".to_owned());
/// assert_eq!(format!("{email:?}"), "***");
/// assert_eq!((email.as_str(), email.len()), ("kim@example.org", 15));
/// assert_eq!(cqrs_core::serde_json::to_string(&email).unwrap(), r#""kim@example.org""#);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Personal<T>(T);
impl<T> Personal<T> {
    /// Wraps the value.
    pub fn new(value: T) -> Self {
        Personal(value)
    }
    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.0
    }
}
impl<T> Deref for Personal<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
impl<T> From<T> for Personal<T> {
    fn from(value: T) -> Self {
        Personal(value)
    }
}
impl From<&str> for Personal<String> {
    fn from(value: &str) -> Self {
        Personal(value.to_owned())
    }
}

/// A type whose debug output shows nothing of its value. Fields with `#[personal]` have such a type.
///
/// [`Personal`] is one. A type of your own implements it when its `Debug` is written by hand.
#[diagnostic::on_unimplemented(
    message = "the debug output of `{Self}` would show a personal value",
    note = "write `Personal<{Self}>`, or implement `Debug` by hand and `cqrs_core::personal::Redacted`"
)]
pub trait Redacted {}
impl<T> Redacted for Personal<T> {}
impl<T: Redacted> Redacted for Option<T> {}
impl<T: Redacted> Redacted for Vec<T> {}
impl<T: Redacted> Redacted for Box<T> {}
