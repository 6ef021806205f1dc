//! The audit of an operator's acts on timers, as events in the log.
use crate::{Timestamp, app::App, error::Fault, event::NewEntry, metadata::Metadata, storage::Timer};
use serde::Serialize;
use uuid::Uuid;

/// An operator's act on a timer, with the reason if the act needs one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act<'a> {
    /// The timer was removed without being fired.
    Cancelled { why: &'a str },
    /// A timer that waited for an operator is fired again.
    Retried,
}
impl<'a> Act<'a> {
    fn event_name(self) -> &'static str {
        match self {
            Act::Cancelled { .. } => "timer.cancelled",
            Act::Retried => "timer.retried",
        }
    }
    fn why(self) -> Option<&'a str> {
        match self {
            Act::Cancelled { why } => Some(why),
            Act::Retried => None,
        }
    }
}

/// The payload of the events. The event's metadata names the operator.
#[derive(Serialize)]
struct Payload<'a> {
    name: &'a str,
    timer: Uuid,
    due: Timestamp,
    command: &'a str,
    /// The error for which the timer was not fired again.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    /// The operator's reason for a cancellation.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

/// Creates the event of an act, schema version 1: `timer.cancelled` or `timer.retried`.
pub(super) fn event(app: &App, act: Act<'_>, timer: &Timer, by: &Metadata) -> Result<NewEntry, Fault> {
    let environment = &app.runtime.environment;
    let id = environment.id();
    let mut metadata = by.clone();
    metadata.correlation.get_or_insert(id);
    metadata.causation = Some(timer.id);
    let Timer { name, id: of, due, command, error, .. } = timer;
    let payload = Payload { name, timer: *of, due: *due, command, error: error.as_deref(), why: act.why() };
    // Each act has its own stream, so that two operators never conflict.
    let stream = format!("timer-{id}");
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
