//! Idempotency keys: the same command is carried out once, and a repetition returns the stored response.
use crate::{
    Timestamp, codec,
    command::{
        fingerprint::{fingerprint, keyed_fingerprint},
        handler::Handled,
    },
    error::{Error, Fault},
    message::Stored,
    metadata::Metadata,
    personal::HashKey,
    position::Position,
    storage::StoredResponse,
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The key of a command's stored response, and the fingerprint of the command's content.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencyKey {
    pub(crate) key: String,
    /// `None` for a key of the framework.
    fingerprint: Option<i64>,
    /// The subject with whose key the response is encrypted.
    subject: Option<String>,
}

/// The start of the keys that the framework makes for the commands of subscribers. It ends with a space, which no key
/// in a header can contain.
const OF_SUBSCRIBERS: &str = "subscriber ";
/// The start of the keys that the framework makes for the commands of timers.
const OF_TIMERS: &str = "timer ";
/// The start of the keys of the commands that other services send.
const OF_OTHER_SERVICES: &str = "remote ";

/// Returns the key of the command that a timer sends at one of its times.
pub(crate) fn timer_key(id: Uuid, due: Timestamp) -> String {
    format!("{OF_TIMERS}{id}/{}", due.timestamp_micros())
}
/// Returns the key that the command of a timer or of another service passes on, which is its own in a form that fits
/// into a header.
///
/// It is none of the framework's keys, so a second command with it has to be the same as the first one.
pub(crate) fn passed_on_key(key: String) -> String {
    let in_a_header = |of: &str| key.strip_prefix(of).map(|rest| format!("{}/{rest}", of.trim_end()));
    [OF_TIMERS, OF_OTHER_SERVICES].into_iter().find_map(in_a_header).unwrap_or(key)
}

/// Returns the key of the command that a subscriber sends as the `number`-th for a message.
///
/// The event's id makes it unique, so the content is not compared: a subscriber that runs again may put a new time or id
/// into its command, and the command is still the same.
pub(crate) fn subscriber_key(group: &str, message: Uuid, number: u32) -> String {
    format!("{OF_SUBSCRIBERS}{group}/{message}/{number}")
}

/// Returns the key of a command that another service has sent in this message.
///
/// The message's id is the command's idempotency key. The content is not compared: a later program may map the same
/// message to another command.
pub(crate) fn remote_key(message: Uuid) -> String {
    format!("{OF_OTHER_SERVICES}{message}")
}
impl IdempotencyKey {
    /// Returns the key for a request, if its metadata has one.
    ///
    /// Caller and command name are part of it; otherwise one caller could read the response to another.
    ///
    /// The subject of a command with personal values comes with the key for hashes.
    pub(crate) fn of<R: Handled + Serialize>(
        request: &R,
        metadata: &Metadata,
        personal: Option<(String, &HashKey)>,
    ) -> Result<Option<Self>, Fault> {
        let Some(given) = &metadata.key else { return Ok(None) };
        let caller = metadata.caller.as_deref().unwrap_or("");
        let key = digest(&[caller.as_bytes(), R::NAME.as_bytes(), given.as_bytes()]);
        let is_of_framework = [OF_SUBSCRIBERS, OF_TIMERS, OF_OTHER_SERVICES].iter().any(|of| given.starts_with(of));
        let fingerprint = match &personal {
            _ if is_of_framework => None,
            None => Some(fingerprint(R::NAME, request)?),
            Some((_, hashes)) => Some(keyed_fingerprint(R::NAME, request, hashes)?),
        };
        let subject = personal.map(|(subject, _)| subject);
        Ok(Some(IdempotencyKey { key: hex(&key), fingerprint, subject }))
    }
    pub(crate) fn response<T: Stored>(&self, output: &T) -> Result<StoredResponse, Fault> {
        let mut body = codec::encode(output)?;
        if let Some(subject) = &self.subject {
            body = codec::marked_whole(&body, subject)?;
        }
        Ok(StoredResponse {
            key: self.key.clone(),
            fingerprint: self.fingerprint.unwrap_or(0),
            body,
            position: Position(0),
        })
    }
    /// Returns the output in a stored response, [`Error::KeyReused`] if the key was used for a command with other
    /// content, or [`Error::ResponseUnreadable`] if another version of the program stored the output in a form of its
    /// own.
    pub(crate) fn read<T: DeserializeOwned, E>(&self, response: &StoredResponse) -> Result<(T, Position), Error<E>> {
        if self.fingerprint.is_some_and(|fingerprint| fingerprint != response.fingerprint) {
            return Err(Error::KeyReused);
        }
        let output = codec::decode(&response.body).map_err(|_| Error::ResponseUnreadable)?;
        Ok((output, response.position))
    }
}

/// Hashes the parts. The length precedes each part, so that different lists of parts never have the same input.
pub(super) fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut out, byte| {
        out.extend([byte >> 4, byte & 15].map(|half| char::from_digit(half.into(), 16).unwrap_or('0')));
        out
    })
}
