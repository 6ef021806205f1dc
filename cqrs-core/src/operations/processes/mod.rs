//! The operator API for process managers, on the command line and over HTTP, with the same JSON in both.
mod command;
mod http;

pub use command::ProcessesCommand;
pub(super) use http::routes;

use crate::app::{ProcessInstance, ShownInstance};
use serde_json::{Value, json};

/// The default number of instances in a page.
const PAGE: usize = 100;
/// The number of changes that are shown.
const HISTORY: usize = 50;

fn instance(service: &str, instance: &ProcessInstance) -> Value {
    json!({
        "service": service, "process": instance.process, "key": instance.key, "status": instance.status,
        "state": instance.state, "since": instance.since, "steps": instance.steps, "undo": instance.undo,
        "version": instance.version, "overdue": instance.is_overdue,
    })
}
/// Describes an instance with its changes. Its state may hold personal data, so it is left out.
fn shown(service: &str, shown: &ShownInstance) -> Value {
    let mut value = instance(service, &shown.instance);
    let failed = shown.failed.iter().map(|(timer, error)| json!({ "timer": timer, "error": error }));
    let change = |entry: &crate::event::Entry| {
        let payload: Value = serde_json::from_slice(&entry.payload).unwrap_or_default();
        json!({ "at": entry.occurred_at, "event": entry.id, "change": payload })
    };
    value["failed"] = failed.collect();
    value["history"] = shown.history.iter().map(change).collect();
    value
}
