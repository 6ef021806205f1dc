//! A signing key with a minimum length.
use cqrs_core::Secret;

/// A signing key of at least [`SHORTEST`](Key::SHORTEST) bytes. It prints as `***`.
///
/// ```
/// let key = service_auth::Key::new("0123456789abcdef0123456789abcdef").unwrap();
/// assert_eq!(format!("{key:?}"), "***");
/// assert!(service_auth::Key::new("too short").is_none());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Secret);
impl Key {
    /// The minimum length in bytes. HS256 requires a key as long as its hash (RFC 7518, 3.2).
    pub const SHORTEST: usize = 32;

    /// Creates a key, or returns `None` when the text is too short.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (text.len() >= Self::SHORTEST).then(|| Key(Secret::new(text)))
    }
    /// Returns the bytes of the key.
    pub fn bytes(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.0, f)
    }
}
