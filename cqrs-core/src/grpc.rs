//! gRPC at the edges: error kinds as status codes and metadata as headers, in both directions. Feature `tonic`.
use crate::{
    Timestamp,
    error::{DomainError, Error, ErrorKind, Fault, describe},
    metadata::{ConsistencyToken, Metadata, is_traceparent, is_tracestate},
};
use futures_util::{Stream, StreamExt, stream::BoxStream};
use std::time::Duration;
use tonic::{
    Code, Status,
    metadata::{Ascii, MetadataMap, MetadataValue},
};
use tonic_types::{ErrorDetails, StatusExt};

/// Header names, in lower case as gRPC requires.
pub mod header {
    /// Id of the process that the request belongs to: a UUID.
    pub const CORRELATION_ID: &str = "cqrs-correlation-id";
    /// Id of the message that caused the request: a UUID.
    pub const CAUSATION_ID: &str = "cqrs-causation-id";
    /// The caller's idempotency key.
    pub const IDEMPOTENCY_KEY: &str = "cqrs-idempotency-key";
    /// The [`ConsistencyToken`](crate::ConsistencyToken): in a request the positions to wait for, in a response the
    /// positions that it includes.
    pub const CONSISTENCY_TOKEN: &str = "cqrs-consistency-token";
    /// W3C trace context.
    pub const TRACEPARENT: &str = "traceparent";
    /// Vendor data of tracing systems that belongs to `traceparent` (W3C).
    pub const TRACESTATE: &str = "tracestate";
    /// The time that the caller waits, in the notation of gRPC.
    pub const TIMEOUT: &str = "grpc-timeout";
}
/// The `domain` of every `google.rpc.ErrorInfo`.
const DOMAIN: &str = "cqrs";
/// The time that a client should wait after UNAVAILABLE.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The longest accepted header value, in bytes: idempotency key, ids and time-out.
const LONGEST: usize = 256;

/// Reads the metadata of a request from its headers.
///
/// It leaves `caller` empty: only the service knows which header it can trust for that.
///
/// # Errors
/// Returns `INVALID_ARGUMENT` with the name of the header that cannot be read.
pub fn read(headers: &MetadataMap, now: Timestamp) -> Result<Metadata, Status> {
    // A repeated header is refused: this service would read the first value, and the next one perhaps the second.
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
    let token = once(header::CONSISTENCY_TOKEN)?.map(|value| value.parse().map_err(|_| bad(header::CONSISTENCY_TOKEN)));
    let token: ConsistencyToken = token.transpose()?.unwrap_or_default();
    // An invalid `traceparent` starts a new trace, as W3C requires. The request itself is not refused.
    let traceparent = headers.get(header::TRACEPARENT).and_then(|value| value.to_str().ok());
    let traceparent = traceparent.filter(|value| is_traceparent(value));
    let tracestate = headers.get(header::TRACESTATE).and_then(|value| value.to_str().ok());
    let tracestate = tracestate.filter(|value| traceparent.is_some() && is_tracestate(value));
    let waits = text(header::TIMEOUT)?.map(|value| timeout(value).ok_or_else(|| bad(header::TIMEOUT))).transpose()?;
    Ok(Metadata {
        correlation: id(header::CORRELATION_ID)?,
        causation: id(header::CAUSATION_ID)?,
        caller: None,
        traceparent: traceparent.map(str::to_owned),
        tracestate: tracestate.map(str::to_owned),
        applied_by: Vec::new(),
        key: text(header::IDEMPOTENCY_KEY)?.map(str::to_owned),
        deadline: waits.and_then(|time| now.checked_add_signed(chrono::TimeDelta::from_std(time).ok()?)),
        token,
        timer: None,
    })
}

/// Writes metadata into the headers of a request. The deadline is set on the request itself (`set_timeout`).
pub fn write(metadata: &Metadata, headers: &mut MetadataMap) {
    let mut put = |name: &'static str, value: Option<String>| {
        if let Some(value) = value.and_then(|value| value.parse::<MetadataValue<Ascii>>().ok()) {
            headers.insert(name, value);
        }
    };
    put(header::CORRELATION_ID, metadata.correlation.map(|id| id.to_string()));
    put(header::CAUSATION_ID, metadata.causation.map(|id| id.to_string()));
    put(header::IDEMPOTENCY_KEY, metadata.key.clone());
    put(header::TRACEPARENT, metadata.traceparent.clone());
    put(header::TRACESTATE, metadata.tracestate.clone());
    put(header::CONSISTENCY_TOKEN, (!metadata.token.is_empty()).then(|| metadata.token.to_string()));
}

/// Returns the consistency token of a response. It is empty if the response carries none.
pub fn consistency_token(headers: &MetadataMap) -> ConsistencyToken {
    headers.get(header::CONSISTENCY_TOKEN).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or_default()
}

/// Returns the response stream of a server-streaming method from [`Answers`](crate::Answers): a fault ends it with its status.
///
/// gRPC stops reading it while the client does not take what was sent, so a slow client of a live query skips answers.
///
/// ```
/// use cqrs_core::{Live, grpc};
///
/// struct Balance { amount: i64, resume: String }
///
/// fn balances(live: Live<Option<i64>>) -> impl futures_util::Stream<Item = Result<Balance, tonic::Status>> {
///     grpc::stream(live.map(|update| Balance {
///         amount: update.answer.unwrap_or_default(),
///         resume: update.resume.to_string(),
///     }))
/// }
/// ```
pub fn stream<T: 'static>(
    answers: impl Stream<Item = Result<T, Fault>> + Send + 'static,
) -> BoxStream<'static, Result<T, Status>> {
    answers.map(|answer| answer.map_err(Status::from)).boxed()
}

fn bad(name: &'static str) -> Status {
    let details = ErrorDetails::with_bad_request_violation(name, "cannot be read");
    Status::with_error_details(Code::InvalidArgument, format!("header {name} cannot be read"), details)
}

/// Parses a time-out such as `100m` (100 ms): at most eight digits and a unit (gRPC over HTTP/2, "Requests").
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
    /// Returns the gRPC code of this kind.
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
            // UNKNOWN is in no usual retry policy.
            ErrorKind::OutcomeUnknown => Code::Unknown,
            ErrorKind::Internal => Code::Internal,
        }
    }
}

/// Returns the gRPC status of a domain error.
///
/// It contains the code and the message, and for programs the reason (`google.rpc.ErrorInfo`) and the field that caused
/// the error (`google.rpc.BadRequest`).
pub fn status_of<E: DomainError>(error: &E) -> Status {
    let mut details = ErrorDetails::with_error_info(error.reason(), DOMAIN, []);
    if let Some(field) = error.field() {
        details.add_bad_request_violation(field, error.to_string());
    }
    with_retry(error.kind(), error.to_string(), details)
}
/// Returns the status with the time after which the same call can succeed (`google.rpc.RetryInfo`). The other details stay.
///
/// ```
/// use cqrs_core::grpc::{details, retry_after};
/// use std::time::Duration;
///
/// let status = retry_after(tonic::Status::aborted("busy"), Duration::from_secs(20));
/// assert_eq!(details(&status).retry_after, Some(Duration::from_secs(20)));
/// ```
pub fn retry_after(status: Status, wait: Duration) -> Status {
    let mut details = status.get_error_details();
    details.set_retry_info(Some(wait));
    Status::with_error_details(status.code(), status.message(), details)
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
            Error::Fault(fault) | Error::OutcomeUnknown(fault) => {
                // The cause is logged, but not sent to the caller. A token that a caller may have made up is no error.
                if fault.is_beyond_the_log() {
                    tracing::debug!(error = describe(fault), "a consistency token is beyond the log");
                } else {
                    tracing::error!(error = describe(fault), "gRPC request failed");
                }
                let message = match fault.kind() {
                    ErrorKind::Internal => "internal error".to_owned(),
                    _ => error.to_string(),
                };
                with_retry(fault.kind(), message, ErrorDetails::with_error_info(error.reason(), DOMAIN, []))
            }
            _ => with_retry(error.kind(), error.to_string(), ErrorDetails::with_error_info(error.reason(), DOMAIN, [])),
        }
    }
}
impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        Error::<crate::Infallible>::from(fault).into()
    }
}

/// The details of a gRPC status, for programs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Details {
    /// `google.rpc.ErrorInfo.reason`.
    pub reason: Option<String>,
    /// The fields that caused the error, each with a description.
    pub fields: Vec<(String, String)>,
    /// The time to wait before a retry.
    pub retry_after: Option<Duration>,
}
/// Returns the details of a status, as [`status_of`] and the conversions from [`Error`] and [`Fault`] write them.
///
/// All fields are empty for a status without details.
pub fn details(status: &Status) -> Details {
    let found = status.get_error_details();
    let violations = found.bad_request().into_iter().flat_map(|request| &request.field_violations);
    Details {
        reason: found.error_info().map(|info| info.reason.clone()),
        fields: violations.map(|violation| (violation.field.clone(), violation.description.clone())).collect(),
        retry_after: found.retry_info().and_then(|info| info.retry_delay),
    }
}

#[cfg(test)]
mod tests {
    use super::{header, read, timeout, write};
    use crate::{Fault, Metadata, Position};
    use std::time::Duration;
    use tonic::{Code, Status, metadata::MetadataMap};

    #[test]
    fn read_returns_the_metadata_that_write_wrote() {
        let mut metadata = Metadata::default().key("k").caused_by(uuid::Uuid::now_v7(), Some(uuid::Uuid::now_v7()));
        metadata.token.raise("user", Position(7));
        metadata.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
        metadata.tracestate = Some("vendor=1, other=a b".into());
        let mut headers = MetadataMap::new();
        write(&metadata, &mut headers);
        assert_eq!(read(&headers, chrono::Utc::now()).unwrap(), metadata);
    }
    #[test]
    fn read_names_the_header_that_it_cannot_parse() {
        let mut headers = MetadataMap::new();
        headers.insert(header::CORRELATION_ID, "not an id".parse().unwrap());
        let status = read(&headers, chrono::Utc::now()).unwrap_err();
        assert_eq!(super::details(&status).fields[0].0, header::CORRELATION_ID);
    }
    #[test]
    fn read_refuses_long_malformed_and_repeated_headers() {
        for name in [
            header::IDEMPOTENCY_KEY,
            header::CORRELATION_ID,
            header::CAUSATION_ID,
            header::CONSISTENCY_TOKEN,
            header::TIMEOUT,
        ] {
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
        headers.insert(header::IDEMPOTENCY_KEY, "k".repeat(256).parse().unwrap());
        headers.insert(header::TRACEPARENT, "not a trace".parse().unwrap());
        headers.insert(header::TRACESTATE, "of=nothing".parse().unwrap());
        let read = read(&headers, chrono::Utc::now()).unwrap();
        assert_eq!((read.key.unwrap().len(), read.traceparent, read.tracestate), (256, None, None));
    }
    #[test]
    fn only_an_unavailable_service_is_retried_and_an_unknown_outcome_is_not() {
        for (fault, code, reason, retry) in [
            (Fault::unavailable("down"), Code::Unavailable, "UNAVAILABLE", true),
            (Fault::outcome_unknown("lost"), Code::Unknown, "OUTCOME_UNKNOWN", false),
            (Fault::invalid("NUL"), Code::InvalidArgument, "INVALID", false),
            (Fault::cursor_of_another_range(), Code::InvalidArgument, "CURSOR_OF_ANOTHER_RANGE", false),
            (Fault::internal("bug"), Code::Internal, "INTERNAL", false),
        ] {
            let status = Status::from(fault);
            let details = super::details(&status);
            let found = (status.code(), details.reason.as_deref(), details.retry_after.is_some());
            assert_eq!(found, (code, Some(reason), retry));
        }
    }
    #[test]
    fn timeout_needs_a_unit_and_at_most_eight_digits() {
        assert_eq!(timeout("100m"), Some(Duration::from_millis(100)));
        assert_eq!(timeout("123456789S"), None);
        assert_eq!(timeout("5"), None);
        assert_eq!(timeout(""), None);
    }
}
