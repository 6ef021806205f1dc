//! gRPC at the edges: kinds of error as status codes, metadata as headers, both ways. Feature `tonic`.
use crate::{
    DomainError, Error, ErrorKind, Fault, Metadata, PositionToken, Timestamp,
    metadata::{is_traceparent, is_tracestate},
};
use std::time::Duration;
use tonic::{
    Code, Status,
    metadata::{Ascii, MetadataMap, MetadataValue},
};
use tonic_types::{ErrorDetails, StatusExt};

/// Header names, all lower case as gRPC wants them.
pub mod header {
    /// The flow a request belongs to: a UUID.
    pub const CORRELATION: &str = "cqrs-correlation";
    /// The message that caused it: a UUID.
    pub const CAUSATION: &str = "cqrs-causation";
    /// The caller's idempotency key.
    pub const KEY: &str = "cqrs-idempotency-key";
    /// What the caller wants to see at least, and what an answer includes: a [`PositionToken`](crate::PositionToken).
    pub const POSITION: &str = "cqrs-position";
    /// W3C trace context.
    pub const TRACEPARENT: &str = "traceparent";
    /// What tracing systems tell each other beside it.
    pub const TRACESTATE: &str = "tracestate";
    /// How long the caller waits, as gRPC writes it.
    pub const TIMEOUT: &str = "grpc-timeout";
}
/// The `domain` of every `google.rpc.ErrorInfo`.
const DOMAIN: &str = "cqrs";
/// What a client should wait after UNAVAILABLE.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The longest idempotency key or trace header that is taken from outside.
const LONGEST: usize = 256;

/// Reads what travels beside a request. The caller is the service's own business: it knows which header to believe.
///
/// # Errors
/// `INVALID_ARGUMENT`, naming the header that cannot be read.
pub fn read(headers: &MetadataMap, now: Timestamp) -> Result<Metadata, Status> {
    // Twice would be one for us and perhaps the other for the next.
    let once = |name: &'static str| {
        let mut all = headers.get_all(name).iter();
        let first = all.next().map(|value| value.to_str().map_err(|_| bad(name))).transpose()?;
        if all.next().is_some() { Err(bad(name)) } else { Ok(first) }
    };
    let text = |name: &'static str| match once(name)? {
        Some(value) if !(1..=LONGEST).contains(&value.len()) || !value.bytes().all(|b| b.is_ascii_graphic()) => {
            Err(bad(name))
        }
        value => Ok(value),
    };
    let id = |name| text(name)?.map(|value| value.parse().map_err(|_| bad(name))).transpose();
    let token = once(header::POSITION)?.map(|value| value.parse().map_err(|_| bad(header::POSITION)));
    let token: PositionToken = token.transpose()?.unwrap_or_default();
    // A trace that cannot be read is begun anew, as W3C says; the request is none the worse.
    let traceparent = headers.get(header::TRACEPARENT).and_then(|it| it.to_str().ok()).filter(|it| is_traceparent(it));
    let tracestate = headers.get(header::TRACESTATE).and_then(|it| it.to_str().ok());
    let tracestate = tracestate.filter(|it| traceparent.is_some() && is_tracestate(it));
    let waits = text(header::TIMEOUT)?.map(|value| timeout(value).ok_or_else(|| bad(header::TIMEOUT))).transpose()?;
    Ok(Metadata {
        correlation: id(header::CORRELATION)?,
        causation: id(header::CAUSATION)?,
        caller: None,
        traceparent: traceparent.map(str::to_owned),
        tracestate: tracestate.map(str::to_owned),
        key: text(header::KEY)?.map(str::to_owned),
        deadline: waits.and_then(|time| now.checked_add_signed(chrono::TimeDelta::from_std(time).ok()?)),
        token,
    })
}

/// Writes what travels beside a request; the deadline is set on the request itself (`set_timeout`).
pub fn write(metadata: &Metadata, headers: &mut MetadataMap) {
    let mut put = |name: &'static str, value: Option<String>| {
        if let Some(value) = value.and_then(|it| it.parse::<MetadataValue<Ascii>>().ok()) {
            headers.insert(name, value);
        }
    };
    put(header::CORRELATION, metadata.correlation.map(|id| id.to_string()));
    put(header::CAUSATION, metadata.causation.map(|id| id.to_string()));
    put(header::KEY, metadata.key.clone());
    put(header::TRACEPARENT, metadata.traceparent.clone());
    put(header::TRACESTATE, metadata.tracestate.clone());
    put(header::POSITION, (!metadata.token.is_empty()).then(|| metadata.token.to_string()));
}

/// The position token of an answer, if it carries one.
pub fn position(headers: &MetadataMap) -> PositionToken {
    headers.get(header::POSITION).and_then(|it| it.to_str().ok()?.parse().ok()).unwrap_or_default()
}

fn bad(name: &'static str) -> Status {
    let details = ErrorDetails::with_bad_request_violation(name, "cannot be read");
    Status::with_error_details(Code::InvalidArgument, format!("header {name} cannot be read"), details)
}

/// `100m` is 100 ms: digits, at most eight, and a unit (gRPC over HTTP/2, "Requests").
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

impl ErrorKind {
    /// The gRPC code of this kind.
    pub fn code(self) -> Code {
        match self {
            ErrorKind::Invalid => Code::InvalidArgument,
            ErrorKind::Unauthenticated => Code::Unauthenticated,
            ErrorKind::Forbidden => Code::PermissionDenied,
            ErrorKind::NotFound => Code::NotFound,
            ErrorKind::AlreadyExists => Code::AlreadyExists,
            ErrorKind::Conflict => Code::Aborted,
            ErrorKind::Precondition => Code::FailedPrecondition,
            ErrorKind::Exhausted => Code::ResourceExhausted,
            ErrorKind::Deadline => Code::DeadlineExceeded,
            ErrorKind::Unavailable => Code::Unavailable,
            ErrorKind::Internal => Code::Internal,
        }
    }
}

/// The status of any domain error: its code, its message, and for machines its reason (`google.rpc.ErrorInfo`) and the field at
/// fault (`google.rpc.BadRequest`).
pub fn status_of<E: DomainError>(error: &E) -> Status {
    let mut details = ErrorDetails::with_error_info(error.reason(), DOMAIN, []);
    if let Some(field) = error.field() {
        details.add_bad_request_violation(field, error.to_string());
    }
    with_retry(error.kind(), error.to_string(), details)
}
fn with_retry(kind: ErrorKind, message: String, mut details: ErrorDetails) -> Status {
    if kind == ErrorKind::Unavailable {
        details.set_retry_info(Some(RETRY_AFTER));
    }
    Status::with_error_details(kind.code(), message, details)
}

impl<E: DomainError> From<Error<E>> for Status {
    fn from(error: Error<E>) -> Self {
        match &error {
            Error::Domain(domain) => status_of(domain),
            Error::Fault(fault) => {
                // What broke is for the log, not for the caller.
                tracing::error!(error = fault as &dyn std::error::Error, "a request failed");
                let message = match fault.kind() {
                    ErrorKind::Internal => "internal error".to_owned(),
                    _ => fault.to_string(),
                };
                with_retry(fault.kind(), message, ErrorDetails::with_error_info(error.reason(), DOMAIN, []))
            }
            _ => with_retry(error.kind(), error.to_string(), ErrorDetails::with_error_info(error.reason(), DOMAIN, [])),
        }
    }
}
impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        Error::<crate::Never>::Fault(fault).into()
    }
}

/// What a status says to machines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// `google.rpc.ErrorInfo.reason`.
    pub reason: Option<String>,
    /// Fields at fault and what is wrong with each.
    pub fields: Vec<(String, String)>,
    /// When to try again.
    pub retry_after: Option<Duration>,
}
/// Reads what [`status_of`] and the others wrote; empty for a status without details.
pub fn details(status: &Status) -> Details {
    let found = status.get_error_details();
    let violations = found.bad_request().into_iter().flat_map(|it| &it.field_violations);
    Details {
        reason: found.error_info().map(|it| it.reason.clone()),
        fields: violations.map(|it| (it.field.clone(), it.description.clone())).collect(),
        retry_after: found.retry_info().and_then(|it| it.retry_delay),
    }
}

#[cfg(test)]
mod tests {
    use super::{header, read, timeout, write};
    use crate::{Metadata, Position};
    use std::time::Duration;
    use tonic::metadata::MetadataMap;

    #[test]
    fn what_is_written_is_read() {
        let mut metadata = Metadata::default().key("k").caused_by(uuid::Uuid::now_v7(), Some(uuid::Uuid::now_v7()));
        metadata.token.raise("user", Position(7));
        metadata.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
        metadata.tracestate = Some("vendor=1, other=a b".into());
        let mut headers = MetadataMap::new();
        write(&metadata, &mut headers);
        assert_eq!(read(&headers, chrono::Utc::now()).unwrap(), metadata);
    }
    #[test]
    fn a_header_that_cannot_be_read_is_named() {
        let mut headers = MetadataMap::new();
        headers.insert(header::CORRELATION, "not an id".parse().unwrap());
        let status = read(&headers, chrono::Utc::now()).unwrap_err();
        assert_eq!(super::details(&status).fields[0].0, header::CORRELATION);
    }
    #[test]
    fn what_is_long_odd_or_there_twice_is_refused() {
        for name in [header::KEY, header::CORRELATION, header::CAUSATION, header::POSITION, header::TIMEOUT] {
            for values in [vec!["two words"], vec!["tab\there"], vec![&*"k".repeat(2000)], vec!["1", "1"]] {
                let mut headers = MetadataMap::new();
                for value in &values {
                    headers.append(name, value.parse().unwrap());
                }
                let status = read(&headers, chrono::Utc::now()).unwrap_err();
                assert_eq!(super::details(&status).fields[0].0, name, "{values:?}");
            }
        }
        let mut headers = MetadataMap::new();
        headers.insert(header::KEY, "k".repeat(256).parse().unwrap());
        headers.insert(header::TRACEPARENT, "not a trace".parse().unwrap());
        headers.insert(header::TRACESTATE, "of=nothing".parse().unwrap());
        let read = read(&headers, chrono::Utc::now()).unwrap();
        assert_eq!((read.key.unwrap().len(), read.traceparent, read.tracestate), (256, None, None));
    }
    #[test]
    fn timeouts_have_a_unit() {
        assert_eq!(timeout("100m"), Some(Duration::from_millis(100)));
        assert_eq!(timeout("123456789S"), None);
        assert_eq!(timeout("5"), None);
        assert_eq!(timeout(""), None);
    }
}
