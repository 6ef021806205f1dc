//! Security events in the log, with the address of the client and a keyed hash of the person.
use crate::extract::Call;
use service_auth::security::{TARGET, person as hash};
use uuid::Uuid;

/// Logs an ordinary event of a session, such as a login.
pub(crate) fn session(call: &Call, event: &'static str, person: Uuid) {
    let (from, person) = (call.client().address, hash(person));
    tracing::info!(target: TARGET, event, %from, person, "gateway: a session changed");
}

/// Logs a refused request that may be an attack.
pub(crate) fn refused(call: &Call, event: &'static str, person: Option<Uuid>) {
    let (from, person) = (call.client().address, person.map(hash));
    tracing::warn!(target: TARGET, event, %from, person, "gateway: a request was refused");
}
