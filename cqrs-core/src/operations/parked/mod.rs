//! The operator API for parked messages, on the command line and over HTTP, with the same JSON in both.
mod command;
mod http;

pub use command::ParkedCommand;
pub use http::Operators;
pub(super) use http::routes;

use crate::{
    app::{Redelivered, Redelivery},
    storage::{Parked, ParkedKey},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

/// The default number of messages in a page. A key can have very many messages.
const PAGE: usize = 100;

fn key(service: &str, parked: &ParkedKey) -> Value {
    json!({
        "service": service, "reader": parked.reader, "key": parked.key, "count": parked.count, "error": parked.error,
        "since": parked.since,
    })
}

/// Describes a message. Its data may be personal, so it is included only with `body`.
fn message(parked: &Parked, body: bool) -> Value {
    let mut entry = json!({
        "number": parked.number, "message": parked.message, "at": parked.at, "error": parked.error,
        "attempts": parked.attempts, "since": parked.since,
    });
    if let (Some(record), Some(entry)) = (&parked.record, entry.as_object_mut()) {
        let headers = record.headers.iter();
        let headers: Map<_, _> =
            headers.map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into())).collect();
        entry.insert("topic".into(), record.partition.topic.clone().into());
        entry.insert("partition".into(), record.partition.part.clone().into());
        entry.insert("headers".into(), headers.into());
        entry.insert("bytes".into(), record.body.as_ref().map(Vec::len).into());
        if body {
            entry.insert("body".into(), record.body.as_ref().map(|body| BASE64_STANDARD.encode(body)).into());
        }
    }
    entry
}

fn redelivery(redelivery: &Redelivery, dry_run: bool) -> Value {
    let one = |one: &Redelivered| json!({ "number": one.number, "message": one.message, "name": one.name });
    let stopped = redelivery.stopped.as_ref().map(|(message, reason)| {
        let mut entry = one(message);
        entry["error"] = crate::error::describe(&**reason).into();
        entry
    });
    let done: Vec<_> = redelivery.done.iter().map(one).collect();
    json!({ (if dry_run { "would_redeliver" } else { "redelivered" }): done, "stopped": stopped })
}
