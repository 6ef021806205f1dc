//! The audit of an operator's acts on parked messages, as events in the log.
use crate::{app::App, error::Fault, event::NewEntry, metadata::Metadata, storage::Parked};
use serde::Serialize;
use uuid::Uuid;

/// The payload of the events. The event's metadata names the operator.
#[derive(Serialize)]
struct Act<'a> {
    reader: &'a str,
    key: &'a str,
    number: u64,
    message: Uuid,
    /// The error for which the message was parked.
    error: &'a str,
    /// The operator's reason for a discard, or for a look at the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

/// Creates the event `parked.redelivered`, schema version 1.
pub(super) fn redelivered(
    app: &App,
    reader: &str,
    key: &str,
    parked: &Parked,
    by: &Metadata,
) -> Result<NewEntry, Fault> {
    entry(app, "parked.redelivered", reader, key, parked, None, by)
}

/// Creates the event `parked.discarded`, schema version 1.
pub(super) fn discarded(
    app: &App,
    reader: &str,
    key: &str,
    parked: &Parked,
    why: &str,
    by: &Metadata,
) -> Result<NewEntry, Fault> {
    entry(app, "parked.discarded", reader, key, parked, Some(why), by)
}

/// Creates the event `parked.shown`, schema version 1: an operator has seen the data of a message.
pub(super) fn shown(
    app: &App,
    reader: &str,
    key: &str,
    parked: &Parked,
    why: &str,
    by: &Metadata,
) -> Result<NewEntry, Fault> {
    entry(app, "parked.shown", reader, key, parked, Some(why), by)
}

fn entry(
    app: &App,
    name: &'static str,
    reader: &str,
    key: &str,
    parked: &Parked,
    why: Option<&str>,
    by: &Metadata,
) -> Result<NewEntry, Fault> {
    let environment = &app.runtime.environment;
    let (id, number, message) = (environment.id(), parked.number, parked.message);
    let mut metadata = by.clone();
    metadata.correlation.get_or_insert(id);
    metadata.causation = Some(message);
    let payload = serde_json::to_vec(&Act { reader, key, number, message, error: &parked.error, why })?;
    // Each act has its own stream, so that two operators never conflict.
    let stream = format!("parked-{id}");
    Ok(NewEntry {
        stream,
        version: 1,
        id,
        name,
        schema: 1,
        payload,
        metadata,
        occurred_at: environment.now(),
        outgoing: None,
    })
}
