//! How the two sides prove who they are: a secret both know, certificates, or both.
use crate::{Key, tls::Certificates};

/// How the two sides of a call prove who they are. Never nothing: it can only be made with one or the other.
#[derive(Debug, Clone)]
pub struct Proof {
    key: Option<Key>,
    certificates: Option<Certificates>,
}
impl Proof {
    /// By a signature: both sides know the key.
    pub fn signed(key: Key) -> Self {
        Proof { key: Some(key), certificates: None }
    }
    /// By certificates: the connection proves who calls, and what they say is believed.
    pub fn certified(certificates: Certificates) -> Self {
        Proof { key: None, certificates: Some(certificates) }
    }
    /// By whatever is there; nothing without either. With both, both must be right.
    pub fn of(key: Option<Key>, certificates: Option<Certificates>) -> Option<Self> {
        (key.is_some() || certificates.is_some()).then_some(Proof { key, certificates })
    }
    /// What calls are signed with, if they are.
    pub(crate) fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }
    /// The connection's certificates, if it has some.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }
}
