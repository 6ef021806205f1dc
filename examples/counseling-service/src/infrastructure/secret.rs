//! A value that never shows itself.
use std::fmt;

/// A key or a password. Printing it gives `Secret(..)`.
///
/// ```
/// assert_eq!(format!("{:?}", counseling_service::Secret::new("sk-1")), "Secret(..)");
/// ```
#[derive(Clone)]
pub struct Secret(String);
impl Secret {
    /// Hides it.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
