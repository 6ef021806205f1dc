//! The log of security events: target `security`, with the method or route, the address of the peer, and a keyed hash in place
//! of the person. It never has a path with ids, a token, a secret, or a text that somebody wrote.
//!
//! The hash lets an investigation follow one person without naming them: who has the key and an id computes the same hash.
//! Programs that shall write the same hashes are given the same key, `HEARLERS_LOG_KEY`; without one each process has its own.
use crate::{Identity, Key, Refused};
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use std::sync::OnceLock;
use tonic::Request;
use uuid::Uuid;

/// The target of all security events in the log.
pub const TARGET: &str = "security";
/// The length of a hash in bytes: enough to tell persons apart, and in hexadecimal digits short to read.
const LENGTH: usize = 8;

static LOG_KEY: OnceLock<hmac::Key> = OnceLock::new();

/// Sets the key of the hashes. Returns `false` when the process has one already.
pub fn set_log_key(key: &Key) -> bool {
    LOG_KEY.set(hmac::Key::new(hmac::HMAC_SHA256, key.bytes())).is_ok()
}

/// Returns the keyed hash of a person, for the log.
///
/// ```
/// use service_auth::security::person;
///
/// let (kim, lee) = (uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2));
/// assert_eq!(person(kim), person(kim));
/// assert_ne!(person(kim), person(lee));
/// assert!(!person(kim).contains(&kim.to_string()) && person(kim).len() == 16);
/// ```
pub fn person(id: Uuid) -> String {
    let hash = hmac::sign(LOG_KEY.get_or_init(random), id.as_bytes());
    hash.as_ref().iter().take(LENGTH).map(|byte| format!("{byte:02x}")).collect()
}
fn random() -> hmac::Key {
    let mut key = [0; 32];
    // A system without random numbers cannot make TLS connections or ids either; a constant key still hides the id from view.
    let _ = SystemRandom::new().fill(&mut key);
    hmac::Key::new(hmac::HMAC_SHA256, &key)
}

/// Logs a refused call. `identity` is the verified one, of a call that the contract does not allow.
pub(crate) fn refused(method: &str, refused: Refused, identity: Option<&Identity>, request: &Request<()>) {
    // The caller chooses the path, so only a method of the contract is written.
    let method = contracts::access_of(method).map_or("unknown", |_| method);
    let from = request.remote_addr().map(|address| address.ip());
    let caller = identity.map(|identity| &*identity.caller);
    let person = identity.and_then(|identity| identity.person).map(|found| person(found.id));
    tracing::warn!(
        target: TARGET,
        event = "call_refused",
        method,
        reason = refused.name(),
        from = from.map(tracing::field::display),
        caller,
        person,
        "a call was refused; check the caller's key and certificate"
    );
}
