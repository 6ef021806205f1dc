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
    /// The W3C `tracestate` that came with it: what tracing systems tell each other, passed on as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
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
        tracestate: None,
        key: None,
        deadline: None,
        token: PositionToken(BTreeMap::new()),
    };
    /// Who asks.
    pub fn caller(mut self, caller: impl Into<String>) -> Self {
        self.caller = Some(caller.into());
        self
    }
    /// With this key, the same command is done once and its first answer is given again, for as long as answers are kept
    /// ([`App::keep`](crate::App::keep), 7 days unless said otherwise).
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

/// Whether a `traceparent` reads as W3C says: `00-<32 hex>-<16 hex>-<2 hex>`, in lower case, and neither id only zeros. What does
/// not is no trace: it is dropped wherever it comes from, so that nothing else gets into headers and logs by that name.
pub(crate) fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').take(5).collect();
    let hex = |part: &str, length| part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let [version, trace, span, flags] = parts[..] else { return false };
    let some = |part: &str| part.bytes().any(|b| b != b'0');
    version == "00" && hex(trace, 32) && some(trace) && hex(span, 16) && some(span) && hex(flags, 2)
}

/// Whether a `tracestate` may be passed on: visible ASCII and spaces, at most 512 characters, which W3C says that everybody passes on.
/// What is in it is for those who wrote it.
pub(crate) fn is_tracestate(text: &str) -> bool {
    (1..=512).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'))
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
/// The longest token and the longest service's name that are read from outside: they come back in headers and cookies.
const LONGEST_TOKEN: usize = 1024;
const LONGEST_NAME: usize = 64;

impl FromStr for PositionToken {
    type Err = BadToken;
    fn from_str(text: &str) -> Result<Self, BadToken> {
        let mut token = PositionToken::default();
        if text.len() > LONGEST_TOKEN {
            return Err(BadToken);
        }
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (service, at) = part.split_once('=').ok_or(BadToken)?;
            let plain = (1..=LONGEST_NAME).contains(&service.len())
                && service.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
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

#[cfg(test)]
mod tests {
    use super::{PositionToken, is_traceparent};

    #[test]
    fn only_a_whole_traceparent_is_one() {
        let whole = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(is_traceparent(whole));
        let (no_trace, no_span) =
            (format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)), whole.replace("b7ad6b7169203331", &"0".repeat(16)));
        let more = format!("{whole}-00");
        for bad in
            ["", "00", &whole[..54], &whole.to_uppercase(), &no_trace, &no_span, &more, &whole.replacen("00", "ff", 1)]
        {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
    #[test]
    fn a_token_from_outside_is_short() {
        let name = |length| format!("{}=1", "n".repeat(length));
        assert!(name(64).parse::<PositionToken>().is_ok() && name(65).parse::<PositionToken>().is_err());
        let many = |count| (0..count).map(|i| format!("{i}=1;")).collect::<String>();
        assert!(many(32).parse::<PositionToken>().is_ok() && many(33).parse::<PositionToken>().is_err());
        assert!(";".repeat(1025).parse::<PositionToken>().is_err());
        for bad in ["a b=1", "a\n=1", "=1", "a=-1", "a=1.5", "a=99999999999999999999"] {
            assert!(bad.parse::<PositionToken>().is_err(), "{bad}");
        }
    }
}
