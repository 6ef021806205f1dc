//! The proof with which the two sides of a call authenticate: a shared secret, certificates, or both.
use crate::{Keys, tls::Certificates};

/// The proof with which the two sides of a call authenticate. It always contains at least one of the two.
#[derive(Debug, Clone)]
pub struct Proof {
    keys: Option<Keys>,
    certificates: Option<Certificates>,
}
impl Proof {
    /// Creates a proof by signature; both sides know the keys.
    pub fn signed(keys: impl Into<Keys>) -> Self {
        Proof { keys: Some(keys.into()), certificates: None }
    }
    /// Creates a proof by certificates: the connection authenticates the caller, and its metadata is accepted.
    pub fn certified(certificates: Certificates) -> Self {
        Proof { keys: None, certificates: Some(certificates) }
    }
    /// Creates a proof from the given parts, or returns `None` without any. With both parts, both must be valid.
    pub fn of(keys: Option<Keys>, certificates: Option<Certificates>) -> Option<Self> {
        (keys.is_some() || certificates.is_some()).then_some(Proof { keys, certificates })
    }
    /// Returns the keys that sign and verify calls, if any.
    pub(crate) fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }
    /// Returns the certificates of the connection, if any.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }
}
