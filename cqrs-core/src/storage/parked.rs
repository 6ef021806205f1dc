//! Types for handled messages, parked messages and retention.
use crate::{Timestamp, position::Position, transport::Received};
use std::time::Duration;
use uuid::Uuid;

/// The state of messages before they are handled: which are handled or parked already, and which keys have parked
/// messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboxLookup {
    /// The messages that were handled or parked before, in any order.
    pub handled: Vec<Uuid>,
    /// The keys with parked messages, in any order. New messages of these keys wait behind them.
    pub parked: Vec<String>,
}

/// The error of a message that this program leaves to a newer one. The newer one handles it without an operator.
pub const LEFT_TO_NEWER_PROGRAM: &str = "left to a newer program, which handles it";

/// A page of the keys with parked messages. The keys are sorted by reader and key, byte by byte.
///
/// The default is the first 1,000 keys of all readers, with exact numbers of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParkedPage<'a> {
    /// The reader whose keys are listed; `None` for all readers.
    pub reader: Option<&'a str>,
    /// The reader and key after which the page begins: those of the last key of the page before.
    pub after: Option<(&'a str, &'a str)>,
    /// The largest number of keys.
    pub limit: usize,
    /// The number up to which the messages of each key are counted.
    pub count_up_to: usize,
}
impl Default for ParkedPage<'_> {
    fn default() -> Self {
        ParkedPage { reader: None, after: None, limit: 1_000, count_up_to: usize::MAX }
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl<'a> ParkedPage<'a> {
    /// Returns the reader, key and number of a message after which the page begins, in the order of the index.
    pub(super) fn begin(&self) -> (&'a str, &'a str, i64) {
        match (self.after, self.reader) {
            (Some((after, key)), Some(reader)) if after >= reader => (after, key, i64::MAX),
            (Some((after, key)), None) => (after, key, i64::MAX),
            (_, reader) => (reader.unwrap_or_default(), "", -1),
        }
    }
}

/// A key with parked messages, for one reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedKey {
    /// The reader that could not handle the first of them.
    pub reader: String,
    /// The key within which messages stay in order.
    pub key: String,
    /// The number of parked messages, counted up to [`ParkedPage::count_up_to`].
    pub count: u64,
    /// The error of the first parked message.
    pub error: String,
    /// The time at which the first message was parked.
    pub since: Timestamp,
}

/// A parked message, with the error for which it was parked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The number of the parked message. It grows in the order in which messages of a key were parked.
    pub number: u64,
    /// The message's id.
    pub message: Uuid,
    /// The offset of the record, or the position in the service's own log.
    pub at: u64,
    /// The record as it was received. `None` means an entry of the service's own log.
    pub record: Option<Received>,
    /// The error of the last attempt, as a text for the operator.
    pub error: String,
    /// The number of attempts to handle it; 0 for a message that only waits behind another.
    pub attempts: u32,
    /// The time at which it was parked.
    pub since: Timestamp,
}

/// Ages and positions from which on data is old enough to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cutoff {
    /// The age from which stored responses are removed.
    pub responses: Duration,
    /// The age from which inbox records are removed.
    pub inbox_records: Duration,
    /// The relay shards whose outgoing messages are removed, each with the position up to which every audience has
    /// received them. Only messages older than [`told_for`](Cutoff::told_for) are removed. A call may stop at younger
    /// ones, since later positions are younger.
    pub outgoing: Vec<(u16, Position)>,
    /// The age from which outgoing messages are removed.
    pub told_for: Duration,
}

/// Encodes a record's headers as text. Values may be any bytes, so they are encoded in base64.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) fn encode_headers(headers: &[(String, Vec<u8>)]) -> Result<String, crate::Fault> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name, BASE64_STANDARD.encode(value))).collect();
    Ok(serde_json::to_string(&headers)?)
}
/// Decodes headers that [`encode_headers`] encoded.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) fn decode_headers(text: Option<String>) -> Result<Vec<(String, Vec<u8>)>, crate::Fault> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let headers: Vec<(String, String)> = serde_json::from_str(text.as_deref().unwrap_or("[]"))?;
    let decoded = |(name, value): (String, String)| {
        let value = BASE64_STANDARD.decode(value);
        let value =
            value.map_err(|error| crate::Fault::internal("a parked header cannot be decoded").because(error))?;
        Ok((name, value))
    };
    headers.into_iter().map(decoded).collect()
}
