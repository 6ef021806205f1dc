//! A secret that is long enough to sign with.
use cqrs_core::Secret;

/// A secret to sign with, at least [`SHORTEST`](Key::SHORTEST) bytes long. It prints as `***`.
///
/// ```
/// let key = trust::Key::new("0123456789abcdef0123456789abcdef").unwrap();
/// assert_eq!(format!("{key:?}"), "***");
/// assert!(trust::Key::new("too short").is_none());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Secret);
impl Key {
    /// HS256 wants a key as long as its hash (RFC 7518, 3.2).
    pub const SHORTEST: usize = 32;

    /// Long enough, or nothing.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (text.len() >= Self::SHORTEST).then(|| Key(Secret::new(text)))
    }
    /// The bytes to sign with.
    pub fn bytes(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.0, f)
    }
}
