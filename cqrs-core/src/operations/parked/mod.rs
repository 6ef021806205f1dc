//! The operator API for parked messages, on the command line and over HTTP, with the same JSON in both.
mod command;
mod http;

pub use command::ParkedCommand;
pub use http::Operators;
pub(super) use http::{OperatorApi, Refused, bad_request, routes};

use crate::{
    app::{BulkProgress, ParkedCount, ParkedSelection, Redelivered, Redelivery, SelectionError},
    storage::{Parked, ParkedKey},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The default number of messages in a page. A key can have very many messages.
const PAGE: usize = 100;
/// The default number of keys in a page.
const KEYS_PAGE: usize = 1_000;
/// The time between two reports of a redelivery's progress.
const REPORT: Duration = Duration::from_secs(1);

/// Checks that a redelivery of many messages names its selection, or `all`.
fn selected(selection: ParkedSelection, all: bool) -> Result<ParkedSelection, SelectionError> {
    let ParkedSelection { reader, error, class, .. } = &selection;
    let parts = [("reader", reader.is_some()), ("error", error.is_some()), ("class", class.is_some())];
    match (all, parts.into_iter().find(|(_, is_given)| *is_given)) {
        (true, Some((name, _))) => Err(SelectionError::Contradictory("all", name)),
        (false, None) => Err(SelectionError::NothingSelected),
        _ => Ok(selection),
    }
}

fn counts(counts: &[ParkedCount]) -> Value {
    let count = |count: &ParkedCount| json!({ "reader": count.reader, "class": count.class, "keys": count.keys, "messages": count.messages });
    counts.iter().map(count).collect()
}
fn dry_run(found: &[ParkedCount]) -> Value {
    let (keys, messages) = found.iter().fold((0, 0), |sum, count| (sum.0 + count.keys, sum.1 + count.messages));
    json!({ "would_redeliver": messages, "keys": keys, "counts": counts(found) })
}
fn progress(progress: &BulkProgress) -> Value {
    let after = progress.after.as_ref().map(|(reader, key)| json!({ "reader": reader, "key": key }));
    json!({
        "done": progress.done, "left": progress.left, "counted": progress.is_counted, "failed_keys": progress.failed_keys,
        "failures": counts(&progress.failures), "per_second": (progress.per_second * 10.0).round() / 10.0,
        "seconds": progress.elapsed.as_secs(), "after": after, "finished": progress.is_finished,
    })
}

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
    let list = if dry_run { "would_redeliver" } else { "redelivered" };
    json!({ "count": redelivery.count, list: done, "stopped": stopped })
}
