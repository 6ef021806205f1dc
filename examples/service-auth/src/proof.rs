//! The proof with which the two sides of a call authenticate: signatures, certificates, or both.
use crate::{CallKey, CallKeys, CallerKeys, tls::Certificates};

/// The proof with which the two sides of a call authenticate. It always contains at least one of its parts.
#[derive(Debug, Clone)]
pub struct Proof {
    call_keys: Option<CallKeys>,
    callers: Option<CallerKeys>,
    certificates: Option<Certificates>,
}
impl Proof {
    /// Creates the proof of a process that contains every caller and every service: one key signs and verifies.
    pub fn signed(key: impl Into<CallKey>) -> Self {
        let key = key.into();
        let callers = Some(CallerKeys::all_with(&key));
        Proof { call_keys: Some(key.into()), callers, certificates: None }
    }
    /// Creates a proof by certificates: the connection authenticates the caller, and its metadata is accepted.
    pub fn certified(certificates: Certificates) -> Self {
        Proof { call_keys: None, callers: None, certificates: Some(certificates) }
    }
    /// Adds certificates: then both the signature and the certificate must be valid.
    #[must_use]
    pub fn with_certificates(self, certificates: Certificates) -> Self {
        Proof { certificates: Some(certificates), ..self }
    }
    /// Creates a proof from the given parts: the keys that sign this program's calls, the keys of those who call it, and its
    /// certificates. `None` without any.
    pub fn of(
        call_keys: Option<CallKeys>,
        callers: Option<CallerKeys>,
        certificates: Option<Certificates>,
    ) -> Option<Self> {
        let has_any = call_keys.is_some() || callers.is_some() || certificates.is_some();
        has_any.then_some(Proof { call_keys, callers, certificates })
    }
    /// Returns the keys that sign this program's calls, if any.
    pub(crate) fn call_keys(&self) -> Option<&CallKeys> {
        self.call_keys.as_ref()
    }
    /// Returns the keys of this program's callers, if any.
    pub(crate) fn callers(&self) -> Option<&CallerKeys> {
        self.callers.as_ref()
    }
    /// Returns the certificates of the connection, if any.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }
}
