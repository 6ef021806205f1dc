//! The stored instance of a process.
use crate::{
    Timestamp,
    event::{OutgoingMessage, shard_of},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// An instance of a process, as it is stored in the table of states.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Instance {
    /// The version of the form of the state.
    pub(crate) version: u32,
    pub(crate) status: Status,
    /// The name of the state.
    pub(crate) state: String,
    /// The state.
    pub(crate) value: Value,
    /// The number of the reaction that has entered the state.
    pub(crate) entered: u64,
    /// The time at which the state was entered, by the clock of the process that decided it.
    pub(crate) since: Timestamp,
    /// The number of reactions.
    pub(crate) steps: u64,
    /// The commands that undo the steps so far, in the order of the steps.
    #[serde(default)]
    pub(crate) undo: Vec<Undo>,
    /// The last commands that were sent, each as the number of the reaction and its own. Some may wait to be carried out.
    #[serde(default)]
    pub(crate) sent: Vec<(u64, usize)>,
    /// The names of the later commands that were set.
    #[serde(default)]
    pub(crate) timers: BTreeSet<String>,
}

/// A command that undoes a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Undo {
    pub(crate) command: String,
    /// The encoded command, or the message to another service. It is stored as JSON and not as a text, in which no
    /// personal value would be found. `null` for a message that is no JSON.
    #[serde(with = "json_text")]
    pub(crate) body: String,
    /// The message of a command to another service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remote: Option<RemoteUndo>,
}
impl Undo {
    pub(crate) fn remote(message: OutgoingMessage) -> Self {
        let OutgoingMessage { topic, key, name, content_type, body, shard: _ } = message;
        let (body, bytes) = match json_text::of(&body) {
            Some(json) => (json, None),
            None => ("null".to_owned(), Some(body)),
        };
        Undo { command: name, body, remote: Some(RemoteUndo { topic, key, content_type, bytes }) }
    }
}

/// A command to another service that undoes a step, beside its name and its message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RemoteUndo {
    topic: String,
    key: String,
    content_type: String,
    /// The message, if it is no JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<Vec<u8>>,
}
impl RemoteUndo {
    pub(crate) fn message(self, name: String, json: String) -> OutgoingMessage {
        let RemoteUndo { topic, key, content_type, bytes } = self;
        let body = bytes.unwrap_or_else(|| json.into_bytes());
        OutgoingMessage { topic, shard: shard_of(&key), key, name, content_type, body }
    }
}

/// The status of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// It waits for an event or for its deadline.
    Running,
    /// It has ended by itself.
    Ended,
    /// An operator has ended it.
    Cancelled,
}

/// JSON inside of JSON: the field holds it as a text, and it is stored as it is.
mod json_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::Error};
    use serde_json::value::RawValue;

    /// Returns these bytes as JSON if they are JSON and nothing else, so that the same bytes come back.
    pub(super) fn of(bytes: &[u8]) -> Option<String> {
        let json = serde_json::from_slice::<&RawValue>(bytes).ok()?.get();
        (json.len() == bytes.len()).then(|| json.to_owned())
    }
    pub(super) fn serialize<S: Serializer>(json: &str, to: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(json).map_err(S::Error::custom)?.serialize(to)
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
        Ok(Box::<RawValue>::deserialize(from)?.get().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{RemoteUndo, Undo};
    use crate::event::{OutgoingMessage, shard_of};

    fn message(body: &[u8]) -> OutgoingMessage {
        let text = |text: &str| text.to_owned();
        OutgoingMessage {
            topic: text("stock.commands.v1"),
            shard: shard_of("7"),
            key: text("7"),
            name: text("stock.release.v1"),
            content_type: text("application/json"),
            body: body.to_vec(),
        }
    }
    fn stored(undo: &Undo) -> (String, Undo) {
        let json = serde_json::to_string(undo).expect("it has a JSON form");
        let read = serde_json::from_str(&json).expect("it is read");
        (json, read)
    }

    #[test]
    fn a_command_that_undoes_a_step_is_stored_as_json_and_comes_back_as_it_was() {
        let body = r#"{"n":340282366920938463463374607431768211455,"x":1.50}"#.to_owned();
        let undo = Undo { command: "Refund".to_owned(), body: body.clone(), remote: None };
        let (json, read) = stored(&undo);
        assert!(json.contains(&format!(r#""body":{body}"#)), "{json}");
        assert_eq!(read, undo);
    }
    #[test]
    fn a_message_that_undoes_a_step_comes_back_byte_by_byte() {
        // The last ones are a protobuf message that JSON would shorten, and bytes that are no text.
        for body in [&br#"{"order":"7"}"#[..], b"null", b"\n\n1234567890", b"\xff\x00"] {
            let (_, Undo { command, body: json, remote }) = stored(&Undo::remote(message(body)));
            let message_of = |remote: RemoteUndo| remote.message(command, json);
            assert_eq!(remote.map(message_of), Some(message(body)));
        }
    }
}
