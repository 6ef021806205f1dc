//! Who asks, why, until when: what travels beside a request and is stored beside its events.
use crate::{Timestamp, batch::Position};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};
use uuid::Uuid;

/// What travels beside a request. Made once at the edge, carried through commands, events and transports.
///
/// ```
/// use cqrs_core::Metadata;
///
/// let metadata = Metadata::default().caller("kim").key("order-7");
/// assert_eq!(metadata.key.as_deref(), Some("order-7"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The flow this belongs to; made by the first command if the edge gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Uuid>,
    /// The event or message that directly caused this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<Uuid>,
    /// Who asks, as the edge knows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The W3C `traceparent` of the span that sent this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The caller's idempotency key. Not stored with events.
    #[serde(skip)]
    pub key: Option<String>,
    /// When the caller stops waiting. Not stored with events.
    #[serde(skip)]
    pub deadline: Option<Timestamp>,
    /// What the caller wants to see at least. Not stored with events.
    #[serde(skip)]
    pub token: PositionToken,
}
impl Metadata {
    /// Nothing known: what a bare `send` carries.
    pub const NONE: Metadata = Metadata {
        correlation: None,
        causation: None,
        caller: None,
        traceparent: None,
        key: None,
        deadline: None,
        token: PositionToken(BTreeMap::new()),
    };
    /// Who asks.
    pub fn caller(mut self, caller: impl Into<String>) -> Self {
        self.caller = Some(caller.into());
        self
    }
    /// With this key, the same command is done once and its first answer is given again. Answers are kept: there is no retention
    /// yet.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
    /// When the caller stops waiting.
    pub fn deadline(mut self, deadline: Timestamp) -> Self {
        self.deadline = Some(deadline);
        self
    }
    /// What a query must have seen.
    pub fn token(mut self, token: PositionToken) -> Self {
        self.token = token;
        self
    }
    /// The direct cause, and the flow it belongs to.
    pub fn caused_by(mut self, cause: Uuid, correlation: Option<Uuid>) -> Self {
        self.causation = Some(cause);
        self.correlation = correlation;
        self
    }
}

/// How far each service's log was when somebody was answered: `user=123;counseling=456`.
///
/// ```
/// use cqrs_core::{Position, PositionToken};
///
/// let mut token: PositionToken = "user=12;counseling=5".parse().unwrap();
/// token.raise("user", Position(11));
/// token.raise("counseling", Position(6));
/// assert_eq!(token.to_string(), "counseling=6;user=12");
/// assert!("user".parse::<PositionToken>().is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PositionToken(BTreeMap<String, u64>);
impl PositionToken {
    /// The position of one service, zero when the token says nothing of it.
    pub fn of(&self, service: &str) -> Position {
        Position(self.0.get(service).copied().unwrap_or(0))
    }
    /// Raises one service's position; it never goes down.
    pub fn raise(&mut self, service: &str, position: Position) {
        if position.0 > self.of(service).0 {
            self.0.insert(service.to_owned(), position.0);
        }
    }
    /// Takes the higher position of both, service by service.
    pub fn merge(&mut self, other: &PositionToken) {
        other.0.iter().for_each(|(service, at)| self.raise(service, Position(*at)));
    }
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
impl fmt::Display for PositionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (service, at)) in self.0.iter().enumerate() {
            write!(f, "{}{service}={at}", if i == 0 { "" } else { ";" })?;
        }
        Ok(())
    }
}
impl FromStr for PositionToken {
    type Err = BadToken;
    fn from_str(text: &str) -> Result<Self, BadToken> {
        let mut token = PositionToken::default();
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (service, at) = part.split_once('=').ok_or(BadToken)?;
            let plain =
                !service.is_empty() && service.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            if !plain || token.0.len() == 32 {
                return Err(BadToken);
            }
            token.raise(service, Position(at.parse().map_err(|_| BadToken)?));
        }
        Ok(token)
    }
}
/// A position token that does not read `service=number;service=number`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a position token reads `service=number;service=number`")]
pub struct BadToken;
