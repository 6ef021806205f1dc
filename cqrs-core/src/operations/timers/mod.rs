//! The operator API for timers, on the command line and over HTTP, with the same JSON in both.
mod command;
mod http;

pub use command::{ListedTimers, TimersCommand};
pub(super) use http::routes;

use crate::storage::{Firing, Timer, TimerState};
use serde_json::{Value, json};
use uuid::Uuid;

/// The default number of timers in a page.
const PAGE: usize = 100;

/// Returns the state of a listing by its name.
fn state(name: &str) -> Option<TimerState> {
    match name {
        "all" => Some(TimerState::All),
        "overdue" => Some(TimerState::Overdue),
        "failed" => Some(TimerState::Failed),
        _ => None,
    }
}

/// Parses the place after which a page begins: the time and the id of the last timer of the page before.
fn place(due: &str, id: &str) -> Option<Firing> {
    Some(Firing { due: due.parse().ok()?, id: Uuid::try_parse(id).ok()? })
}

/// Describes a timer. Its command may hold personal data, so only the size is included.
fn timer(service: &str, timer: &Timer) -> Value {
    json!({
        "service": service, "name": timer.name, "id": timer.id, "due": timer.due, "key": timer.key,
        "command": timer.command, "bytes": timer.body.len(), "calendar": timer.calendar, "set_by": timer.set_by,
        "set_at": timer.set_at, "caller": timer.metadata.caller, "correlation": timer.metadata.correlation,
        "error": timer.error,
    })
}
