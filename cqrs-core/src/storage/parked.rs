//! What a storage knows of messages beside the log: handled, parked, old enough to go.
use crate::{Timestamp, batch::Position, transport::Received};
use std::time::Duration;
use uuid::Uuid;

/// What is known of messages before they are handled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Handled or parked before, in any order.
    pub handled: Vec<Uuid>,
    /// Keys with something parked, in any order: what comes now waits behind it.
    pub parked: Vec<String>,
}

/// A key with parked messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedKey {
    /// Who could not handle the first of them.
    pub reader: String,
    /// The key.
    pub key: String,
    /// How many wait.
    pub count: u64,
    /// Why the first could not be handled.
    pub error: String,
    /// When the first was parked.
    pub since: Timestamp,
}

/// A parked message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Its number: grows in the order in which messages of a key were parked.
    pub number: u64,
    /// Its id.
    pub message: Uuid,
    /// Its offset, or its position in the own log.
    pub at: u64,
    /// As it came. `None`: it is an entry of the own log.
    pub record: Option<Received>,
    /// Why.
    pub error: String,
    /// How often it was tried; 0 for what only waits behind another.
    pub attempts: u32,
    /// When it was parked.
    pub since: Timestamp,
}

/// What is old enough to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Old {
    /// Answers to idempotency keys older than this.
    pub answers: Duration,
    /// Marks of handled messages older than this.
    pub marks: Duration,
    /// What others were told, older than [`told_for`](Old::told_for): per lane, up to where every audience has it.
    pub told: Vec<(u16, Position)>,
    /// How long what others were told is kept at least.
    pub told_for: Duration,
}

/// A record's headers as text: names as they are, values in base64, since they may be any bytes.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) fn encode_headers(headers: &[(String, Vec<u8>)]) -> Result<String, crate::Fault> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name, BASE64_STANDARD.encode(value))).collect();
    Ok(serde_json::to_string(&headers)?)
}
/// The other way.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) fn decode_headers(text: Option<String>) -> Result<Vec<(String, Vec<u8>)>, crate::Fault> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let headers: Vec<(String, String)> = serde_json::from_str(text.as_deref().unwrap_or("[]"))?;
    let decoded = |(name, value): (String, String)| {
        let value = BASE64_STANDARD.decode(value);
        let value = value.map_err(|e| crate::Fault::internal("a parked header cannot be read").because(e))?;
        Ok((name, value))
    };
    headers.into_iter().map(decoded).collect()
}
