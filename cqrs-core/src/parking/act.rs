//! What an operator does with parked messages, as events of the log: who, what, why.
use crate::{Fault, Metadata, app::Running, batch::NewEntry, storage::Parked};
use serde::Serialize;
use uuid::Uuid;

/// The payload of both events.
#[derive(Serialize)]
struct Act<'a> {
    reader: &'a str,
    key: &'a str,
    number: u64,
    message: Uuid,
    /// Why it had been parked.
    error: &'a str,
    /// Why it is discarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

/// `parked.replayed`, version 1.
pub(super) fn replayed(
    app: &Running,
    reader: &str,
    key: &str,
    parked: &Parked,
    by: &Metadata,
) -> Result<NewEntry, Fault> {
    entry(app, "parked.replayed", reader, key, parked, None, by)
}

/// `parked.discarded`, version 1.
pub(super) fn discarded(
    app: &Running,
    reader: &str,
    key: &str,
    parked: &Parked,
    why: &str,
    by: &Metadata,
) -> Result<NewEntry, Fault> {
    entry(app, "parked.discarded", reader, key, parked, Some(why), by)
}

fn entry(
    app: &Running,
    name: &'static str,
    reader: &str,
    key: &str,
    parked: &Parked,
    why: Option<&str>,
    by: &Metadata,
) -> Result<NewEntry, Fault> {
    let world = &app.shared.world;
    let (id, number, message) = (world.id(), parked.number, parked.message);
    let mut metadata = by.clone();
    metadata.correlation.get_or_insert(id);
    metadata.causation = Some(message);
    let payload = serde_json::to_vec(&Act { reader, key, number, message, error: &parked.error, why })?;
    // A stream of its own, so that two operators never wait for each other.
    let stream = format!("parked-{id}");
    Ok(NewEntry { stream, version: 1, id, name, schema: 1, payload, metadata, at: world.now(), told: None })
}
