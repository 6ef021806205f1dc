//! The proof with which the two sides of a call authenticate: a shared secret, certificates, or both.
use crate::{Key, tls::Certificates};

/// The proof with which the two sides of a call authenticate. It always contains at least one of the two.
#[derive(Debug, Clone)]
pub struct Proof {
    key: Option<Key>,
    certificates: Option<Certificates>,
}
impl Proof {
    /// Creates a proof by signature; both sides know the key.
    pub fn signed(key: Key) -> Self {
        Proof { key: Some(key), certificates: None }
    }
    /// Creates a proof by certificates: the connection authenticates the caller, and its metadata is accepted.
    pub fn certified(certificates: Certificates) -> Self {
        Proof { key: None, certificates: Some(certificates) }
    }
    /// Creates a proof from the given parts, or returns `None` without any. With both parts, both must be valid.
    pub fn of(key: Option<Key>, certificates: Option<Certificates>) -> Option<Self> {
        (key.is_some() || certificates.is_some()).then_some(Proof { key, certificates })
    }
    /// Returns the key that signs calls, if any.
    pub(crate) fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }
    /// Returns the certificates of the connection, if any.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }
}
