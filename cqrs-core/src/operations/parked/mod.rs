//! What an operator sees and does of parked messages, by command line and over HTTP: the same words in both.
mod command;
mod http;

pub use command::ParkedCommand;
pub use http::Operators;
pub(super) use http::routes;

use crate::{
    parking::{Replay, Replayed},
    storage::{Parked, ParkedKey},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

/// How many messages are shown at once, unless another number is asked for: a key can have very many.
const PAGE: usize = 100;

fn key(service: &str, it: &ParkedKey) -> Value {
    json!({
        "service": service, "reader": it.reader, "key": it.key, "count": it.count, "error": it.error, "since": it.since,
    })
}

/// A message without its data, which may be about people; `body` asks for it.
fn message(it: &Parked, body: bool) -> Value {
    let mut said = json!({
        "number": it.number, "message": it.message, "at": it.at, "error": it.error, "attempts": it.attempts,
        "since": it.since,
    });
    if let (Some(record), Some(said)) = (&it.record, said.as_object_mut()) {
        let headers = record.headers.iter();
        let headers: Map<_, _> =
            headers.map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into())).collect();
        said.insert("topic".into(), record.partition.topic.clone().into());
        said.insert("partition".into(), record.partition.part.clone().into());
        said.insert("headers".into(), headers.into());
        said.insert("bytes".into(), record.body.as_ref().map(Vec::len).into());
        if body {
            said.insert("body".into(), record.body.as_ref().map(|it| BASE64_STANDARD.encode(it)).into());
        }
    }
    said
}

fn replay(it: &Replay, rehearsed: bool) -> Value {
    let one = |it: &Replayed| json!({ "number": it.number, "message": it.message, "name": it.name });
    let stopped = it.stopped.as_ref().map(|(at, why)| {
        let mut said = one(at);
        said["error"] = crate::parking::in_words(&**why).into();
        said
    });
    let done: Vec<_> = it.done.iter().map(one).collect();
    json!({ (if rehearsed { "would_replay" } else { "replayed" }): done, "stopped": stopped })
}
