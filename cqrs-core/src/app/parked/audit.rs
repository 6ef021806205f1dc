//! The audit of an operator's acts on parked messages, as events in the log.
use crate::{app::App, error::Fault, event::NewEntry, metadata::Metadata, storage::Parked};
use serde::Serialize;
use uuid::Uuid;

/// An operator's act on a parked message, with the reason if the act needs one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act<'a> {
    /// The message was handled again.
    Redelivered,
    /// The message was removed without being handled.
    Discarded { why: &'a str },
    /// The data of the message was shown to the operator.
    Shown { why: &'a str },
}
impl<'a> Act<'a> {
    fn event_name(self) -> &'static str {
        match self {
            Act::Redelivered => "parked.redelivered",
            Act::Discarded { .. } => "parked.discarded",
            Act::Shown { .. } => "parked.shown",
        }
    }
    fn why(self) -> Option<&'a str> {
        match self {
            Act::Redelivered => None,
            Act::Discarded { why } | Act::Shown { why } => Some(why),
        }
    }
}

/// The payload of the events. The event's metadata names the operator.
#[derive(Serialize)]
struct Payload<'a> {
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

/// Creates the event of an act, schema version 1: `parked.redelivered`, `parked.discarded` or `parked.shown`.
pub(super) fn event(
    app: &App,
    act: Act<'_>,
    reader: &str,
    key: &str,
    parked: &Parked,
    by: &Metadata,
) -> Result<NewEntry, Fault> {
    let environment = &app.runtime.environment;
    let (id, number, message) = (environment.id(), parked.number, parked.message);
    let mut metadata = by.clone();
    metadata.correlation.get_or_insert(id);
    metadata.causation = Some(message);
    let payload = Payload { reader, key, number, message, error: &parked.error, why: act.why() };
    // Each act has its own stream, so that two operators never conflict.
    let stream = format!("parked-{id}");
    Ok(NewEntry {
        stream,
        version: 1,
        id,
        name: act.event_name(),
        schema: 1,
        payload: serde_json::to_vec(&payload)?,
        metadata,
        occurred_at: environment.now(),
        outgoing: None,
    })
}
