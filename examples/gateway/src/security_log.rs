//! Security events in the log: what happened, from which address, and to whom, by a pseudonym.
use crate::{extract::Call, http::Gateway};
use uuid::Uuid;

/// The target of the events, which a collector can select.
const TARGET: &str = "security";

/// Logs an ordinary event of a session, such as a login.
pub(crate) fn session(gateway: &Gateway, call: &Call, event: &'static str, person: Uuid) {
    let (from, person) = (call.client().address, gateway.tokens().pseudonym(person));
    tracing::info!(target: TARGET, event, %from, person, "gateway: a session changed");
}

/// Logs a refused request that may be an attack.
pub(crate) fn refused(gateway: &Gateway, call: &Call, event: &'static str, person: Option<Uuid>) {
    let (from, person) = (call.client().address, person.map(|person| gateway.tokens().pseudonym(person)));
    tracing::warn!(target: TARGET, event, %from, person, "gateway: a request was refused");
}
