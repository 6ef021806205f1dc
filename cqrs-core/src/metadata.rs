//! Metadata of requests and events: correlation, caller, trace context, idempotency key, deadline, consistency token.
pub(crate) mod framework_key;

use crate::{
    Timestamp,
    position::{Epoch, Position},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};
use uuid::Uuid;

/// The metadata of a request. The edge creates it once; commands, events and transports carry it on.
///
/// ```
/// use cqrs_core::Metadata;
///
/// let metadata = Metadata::default().caller("kim").key("order-7");
/// assert_eq!(metadata.key.as_deref(), Some("order-7"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Id of the process that the request belongs to. The first command creates it if the edge gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Uuid>,
    /// Id of the event or message that directly caused this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<Uuid>,
    /// The caller, as the edge identified it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The W3C `traceparent` of the span that sent the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The W3C `tracestate` that arrived with the `traceparent`: vendor data of tracing systems, passed on unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
    /// The inline projections that have applied the event in the batch which appended it. The framework writes it, and leaves out
    /// what a caller gives.
    #[doc(hidden)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applied_by: Vec<String>,
    /// The caller's idempotency key. Not stored with events.
    #[serde(skip)]
    pub key: Option<String>,
    /// The time at which the caller stops waiting. Not stored with events.
    #[serde(skip)]
    pub deadline: Option<Timestamp>,
    /// The positions that a query must have reached (read-your-writes). Not stored with events.
    #[serde(skip)]
    pub token: ConsistencyToken,
    /// The timer that has sent this command; `None` for any other. Not stored with events, whose causation is the timer's id.
    #[serde(skip)]
    pub timer: Option<Box<FiredTimer>>,
}

/// The timer that has sent a command, with the time at which the command was due.
///
/// ```
/// use cqrs_core::{Command, HandlerResult, Metadata, handler};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, Command)]
/// struct SendReminder;
///
/// #[handler]
/// async fn send_reminder(_: SendReminder, metadata: Metadata) -> HandlerResult<()> {
///     if metadata.timer.is_some_and(|timer| timer.late > std::time::Duration::from_secs(3_600)) {
///         return Ok(());   // the service was down, and the reminder comes too late
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FiredTimer {
    /// The timer's id.
    pub id: Uuid,
    /// The timer's name. It is the id for a timer without a name.
    pub name: String,
    /// The time at which the command was due.
    pub due: Timestamp,
    /// The time between then and the firing, by the database's clock. It is some milliseconds, or as long as the service was down.
    pub late: Duration,
    /// Set if the timer became due because the database's clock was set forward, or because its machine was suspended.
    pub clock_was_set: bool,
    /// The end of the timer, which is part of the command's batch. Only the framework's own copy of the metadata has it.
    #[doc(hidden)]
    pub end: Option<TimerEnd>,
}
impl FiredTimer {
    /// Returns `true` if the command is sent more than a second after it was due.
    pub fn is_late(&self) -> bool {
        self.late > Duration::from_secs(1)
    }
}
/// The state of a timer after it was fired.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimerEnd {
    /// The timer is removed.
    Removed,
    /// The timer waits for its next time.
    Next(Timestamp),
}
impl Metadata {
    /// Empty metadata, used by `send` without metadata.
    pub const NONE: Metadata = Metadata {
        correlation: None,
        causation: None,
        caller: None,
        traceparent: None,
        tracestate: None,
        applied_by: Vec::new(),
        key: None,
        deadline: None,
        token: ConsistencyToken(BTreeMap::new()),
        timer: None,
    };
    /// Returns the metadata as a handler or a caller may pass it on: another command does not end the timer, and has a
    /// key that is not that of the timer or of the message.
    #[must_use]
    pub(crate) fn passed_on(mut self) -> Self {
        if let Some(timer) = &mut self.timer {
            timer.end = None;
        }
        self.key = self.key.map(framework_key::passed_on);
        self
    }
    /// Sets the caller.
    #[must_use]
    pub fn caller(mut self, caller: impl Into<String>) -> Self {
        self.caller = Some(caller.into());
        self
    }
    /// Sets the idempotency key. The same command with the same key is carried out once.
    ///
    /// A repetition returns the stored response of the first time, for as long as responses are retained
    /// ([`AppBuilder::retention`](crate::AppBuilder::retention); default: 7 days).
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
    /// Sets the time at which the caller stops waiting.
    #[must_use]
    pub fn deadline(mut self, deadline: Timestamp) -> Self {
        self.deadline = Some(deadline);
        self
    }
    /// Sets the positions that a query must have reached.
    #[must_use]
    pub fn token(mut self, token: ConsistencyToken) -> Self {
        self.token = token;
        self
    }
    /// Sets the direct cause, and the process that it belongs to.
    #[must_use]
    pub fn caused_by(mut self, cause: Uuid, correlation: Option<Uuid>) -> Self {
        self.causation = Some(cause);
        self.correlation = correlation;
        self
    }
}

/// Returns `true` for a `traceparent` as W3C defines it: `00-<32 hex>-<16 hex>-<2 hex>` in lower case, neither id zero.
///
/// Any other value is dropped, whatever its source, so that no other text gets into headers and logs under this name.
pub(crate) fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').take(5).collect();
    let hex = |part: &str, length| part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let [version, trace, span, flags] = parts[..] else { return false };
    let is_set = |part: &str| part.bytes().any(|b| b != b'0');
    version == "00" && hex(trace, 32) && is_set(trace) && hex(span, 16) && is_set(span) && hex(flags, 2)
}

/// Returns `true` if a `tracestate` may be passed on: visible ASCII and spaces, at most 512 characters.
///
/// W3C asks every system to pass on that many. The content belongs to the tracing systems and is not parsed.
pub(crate) fn is_tracestate(text: &str) -> bool {
    (1..=512).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

/// The position in each service's log that a reader must have reached, such as
/// `user=123@6579c2a01f3b8d22;counseling=456@6579c2a0003b11fe` (read-your-writes).
///
/// A response carries the token of its commit, and a later query with this token sees at least that commit. After the `@`
/// is the [`Epoch`] of the service's database. A query with a token of another epoch is refused at once
/// ([`Error::OutdatedToken`](crate::Error::OutdatedToken)); one without an epoch is accepted.
///
/// ```
/// use cqrs_core::{Position, ConsistencyToken};
///
/// let mut token: ConsistencyToken = "user=12;counseling=5".parse().unwrap();
/// token.raise("user", Position(11));
/// token.raise("counseling", Position(6));
/// assert_eq!(token.to_string(), "counseling=6;user=12");
/// assert!("user".parse::<ConsistencyToken>().is_err());
///
/// // A later epoch replaces the position, because positions of two epochs are not comparable.
/// token.merge(&"user=3@6579c2a01f3b8d22".parse().unwrap());
/// token.merge(&"user=2@6579c2a11f3b8d22".parse().unwrap());
/// assert_eq!(token.to_string(), "counseling=6;user=2@6579c2a11f3b8d22");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsistencyToken(BTreeMap<String, (u64, Option<Epoch>)>);
impl ConsistencyToken {
    /// Returns the position of one service, or zero if the token does not contain the service.
    pub fn of(&self, service: &str) -> Position {
        Position(self.0.get(service).map_or(0, |(position, _)| *position))
    }
    /// Returns the epoch of the position of one service, if the token has it.
    pub fn epoch(&self, service: &str) -> Option<Epoch> {
        self.0.get(service).and_then(|(_, epoch)| *epoch)
    }
    /// Raises the position of one service. A lower position changes nothing.
    pub fn raise(&mut self, service: &str, position: Position) {
        self.raise_in(service, None, position);
    }
    /// Raises the position of one service, which was reached in this epoch. In a later epoch it replaces the position, and
    /// one of an earlier epoch changes nothing. Without an epoch the position counts as one of the same epoch.
    pub fn raise_in(&mut self, service: &str, epoch: Option<Epoch>, position: Position) {
        if position.0 == 0 {
            return;
        }
        let Some((known, of)) = self.0.get_mut(service) else {
            self.0.insert(service.to_owned(), (position.0, epoch));
            return;
        };
        match (*of, epoch) {
            (Some(of), Some(epoch)) if epoch < of => return,
            (Some(of), Some(epoch)) if epoch > of => *known = position.0,
            _ => *known = position.0.max(*known),
        }
        *of = epoch.or(*of);
    }
    /// Merges another token into this one: each service gets the higher of both positions, or that of the later epoch.
    pub fn merge(&mut self, other: &ConsistencyToken) {
        let all = other.0.iter();
        all.for_each(|(service, (position, epoch))| self.raise_in(service, *epoch, Position(*position)));
    }
    /// Returns `true` if the token contains no service.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
impl fmt::Display for ConsistencyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (service, (position, epoch))) in self.0.iter().enumerate() {
            write!(f, "{}{service}={position}", if i == 0 { "" } else { ";" })?;
            epoch.map_or(Ok(()), |epoch| write!(f, "@{epoch}"))?;
        }
        Ok(())
    }
}
/// Limits of tokens from outside, in bytes: the whole token and each service name. Both come back in headers and
/// cookies.
const LONGEST_TOKEN: usize = 1024;
const LONGEST_NAME: usize = 64;

impl FromStr for ConsistencyToken {
    type Err = InvalidToken;
    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let mut token = ConsistencyToken::default();
        if text.len() > LONGEST_TOKEN {
            return Err(InvalidToken);
        }
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (service, position) = part.split_once('=').ok_or(InvalidToken)?;
            let valid_name = (1..=LONGEST_NAME).contains(&service.len())
                && service.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            if !valid_name || token.0.len() == 32 {
                return Err(InvalidToken);
            }
            let (position, epoch) = match position.split_once('@') {
                Some((position, epoch)) => (position, Some(epoch.parse().map_err(|_| InvalidToken)?)),
                None => (position, None),
            };
            token.raise_in(service, epoch, Position(position.parse().map_err(|_| InvalidToken)?));
        }
        Ok(token)
    }
}
/// The error of text that is not a consistency token of the form `service=number@epoch;service=number@epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a consistency token: the form is `service=number@epoch;service=number@epoch`")]
pub struct InvalidToken;

#[cfg(test)]
mod tests {
    use super::{ConsistencyToken, is_traceparent};

    #[test]
    fn is_traceparent_accepts_only_a_complete_w3c_value() {
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
    fn parsing_refuses_an_oversized_or_malformed_token() {
        let name = |length| format!("{}=1", "n".repeat(length));
        assert!(name(64).parse::<ConsistencyToken>().is_ok() && name(65).parse::<ConsistencyToken>().is_err());
        let many = |count| (0..count).map(|i| format!("{i}=1;")).collect::<String>();
        assert!(many(32).parse::<ConsistencyToken>().is_ok() && many(33).parse::<ConsistencyToken>().is_err());
        assert!(";".repeat(1025).parse::<ConsistencyToken>().is_err());
        for bad in [
            "a b=1",
            "a\n=1",
            "=1",
            "a=-1",
            "a=1.5",
            "a=99999999999999999999",
            "a=1@",
            "a=1@6579C2A01F3B8D22",
            "a=1@6579c2a01f3b8d22@",
        ] {
            assert!(bad.parse::<ConsistencyToken>().is_err(), "{bad}");
        }
    }
}
