//! Errors: a domain error or a rejection is for the caller, a fault is for the operator of the service.
mod conflict;
mod mark;
mod text;

pub use conflict::VersionConflict;
pub(crate) use conflict::described;
pub use mark::{Permanent, Transient, permanent, transient};
pub(crate) use text::{causes, describe};

use std::{borrow::Cow, convert::Infallible, fmt};

/// Any error. The framework accepts it from ports, codecs and drivers.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The result of a handler: its output, or an [`Error`]. `E` is the use case's [`DomainError`], if it has one.
pub type HandlerResult<T, E = Infallible> = Result<T, Error<E>>;

/// The kind of an error: its origin, and the possible reaction of the caller.
///
/// Every transport maps these kinds and nothing else; the feature `tonic` maps them to gRPC codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is invalid in every state (gRPC INVALID_ARGUMENT, HTTP 400).
    Invalid,
    /// The caller is not authenticated (UNAUTHENTICATED, 401).
    Unauthenticated,
    /// The caller is known but not allowed (PERMISSION_DENIED, 403).
    Forbidden,
    /// The object does not exist, or not for this caller (NOT_FOUND, 404).
    NotFound,
    /// The object already exists: a taken value, a reused idempotency key (ALREADY_EXISTS, 409).
    AlreadyExists,
    /// Another request changed the object at the same time; a retry may succeed (ABORTED, 409).
    Conflict,
    /// The input is valid, but the current state does not allow the request (FAILED_PRECONDITION, 400).
    Precondition,
    /// A quota is used up (RESOURCE_EXHAUSTED, 429).
    Exhausted,
    /// The caller's deadline has passed (DEADLINE_EXCEEDED, 504).
    Deadline,
    /// A component is down; a later retry may succeed (UNAVAILABLE, 503).
    Unavailable,
    /// It is not known whether the request took effect: the connection to the database was lost during its commit. A retry
    /// without an idempotency key may carry it out twice (UNKNOWN, 500).
    OutcomeUnknown,
    /// A bug or broken data (INTERNAL, 500).
    Internal,
}

/// A domain's own error, returned by a decision that refuses. Each variant has an [`ErrorKind`].
///
/// ```
/// use cqrs_core::{DomainError, ErrorKind};
///
/// #[derive(Debug, Clone, PartialEq, thiserror::Error, DomainError)]
/// pub enum AccountError {
///     #[error("{0} is more than the balance")]
///     #[kind(precondition)]
///     Insufficient(u64),
/// }
/// assert_eq!(AccountError::Insufficient(3).kind(), ErrorKind::Precondition);
/// assert_eq!(AccountError::Insufficient(3).reason(), "INSUFFICIENT");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a domain error",
    note = "derive it: `#[derive(Debug, thiserror::Error, DomainError)]`, with `#[kind(...)]` on each variant"
)]
pub trait DomainError: std::error::Error + Send + Sync + 'static {
    /// Returns the kind of this error.
    fn kind(&self) -> ErrorKind;
    /// Returns a stable code for programs, in capitals: the variant's name, unless the derive sets another.
    fn reason(&self) -> Cow<'static, str>;
    /// Returns the field of the request that caused the error, if there is one.
    fn field(&self) -> Option<&'static str> {
        None
    }
}

/// A technical failure that the caller did not cause: a database, a codec or the wiring of the app failed.
#[derive(Debug)]
pub struct Fault {
    /// `Unavailable`, `Deadline`, `OutcomeUnknown`, `Internal`, `Precondition` for an outdated consistency token, or
    /// `Invalid` for a value that cannot be stored.
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<BoxError>,
}

impl Fault {
    /// Creates a fault that may pass by itself: the caller may try again later.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Fault { kind: ErrorKind::Unavailable, message: message.into(), source: None }
    }
    /// Creates a fault that does not pass by itself: a bug or broken data.
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Fault { kind: ErrorKind::Internal, message: message.into(), source: None }
    }
    /// Creates a fault for a deadline of the caller that has passed.
    pub fn deadline(message: impl Into<Cow<'static, str>>) -> Self {
        Fault { kind: ErrorKind::Deadline, message: message.into(), source: None }
    }
    /// Creates a fault for a commit that may have taken effect or not. A storage returns it when the
    /// connection is lost after the batch was sent.
    pub fn outcome_unknown(message: impl Into<Cow<'static, str>>) -> Self {
        Fault { kind: ErrorKind::OutcomeUnknown, message: message.into(), source: None }
    }
    /// Creates a fault for a value that cannot be stored, such as a key with a NUL character. Towards the caller it is
    /// [`Error::Rejected`].
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Fault { kind: ErrorKind::Invalid, message: message.into(), source: None }
    }
    /// Creates a fault for a consistency token from another epoch of the service's database. Towards the caller it is
    /// [`Error::OutdatedToken`].
    pub(crate) fn outdated_token(service: &str) -> Self {
        let message = format!(
            "the consistency token is from another epoch of the database of service {service}, such as from before a \
             restore: repeat the request without it"
        );
        Fault { kind: ErrorKind::Precondition, message: message.into(), source: None }
    }
    /// Creates a fault for a cursor of another range. Towards the caller it is [`Error::CursorOfAnotherRange`].
    pub(crate) fn cursor_of_another_range() -> Self {
        Fault::invalid(CursorOfAnotherRange.to_string()).because(CursorOfAnotherRange)
    }
    fn is_cursor_of_another_range(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.is::<CursorOfAnotherRange>())
    }
    /// Creates a fault for a consistency token with a position that the log has not reached. A caller can make one up, so it
    /// is no error of this service.
    pub(crate) fn beyond_the_log(position: u64, end: u64) -> Self {
        Fault::unavailable(format!("the consistency token has position {position}, and the log ends at {end}"))
            .because(BeyondTheLog)
    }
    /// Creates a fault for an operation on the query side of an app that is none.
    pub(crate) fn no_query_side() -> Self {
        let message = "this app is no query side: call it in a process that serves only queries";
        Fault { kind: ErrorKind::Precondition, message: message.into(), source: None }
    }
    /// Creates a fault for an operation that an app refuses because it is the query side of a service.
    pub(crate) fn query_side() -> Self {
        let message = "this process serves only queries: call it in a process of the service itself";
        Fault { kind: ErrorKind::Precondition, message: message.into(), source: None }
    }
    /// Returns `true` for a consistency token with a position that the log has not reached.
    #[cfg(feature = "tonic")]
    pub(crate) fn is_beyond_the_log(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.is::<BeyondTheLog>())
    }
    /// Sets the error that caused this fault.
    pub fn because(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }
    /// Returns the kind: [`ErrorKind::Unavailable`], [`ErrorKind::Deadline`], [`ErrorKind::OutcomeUnknown`],
    /// [`ErrorKind::Internal`], [`ErrorKind::Precondition`] or [`ErrorKind::Invalid`].
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
    /// Returns `true` if the same call may succeed later. After [`ErrorKind::OutcomeUnknown`] it may have succeeded
    /// already; the checkpoints, inbox records and expected versions of a batch make its repetition safe.
    pub fn is_transient(&self) -> bool {
        !matches!(self.kind, ErrorKind::Internal | ErrorKind::Precondition | ErrorKind::Invalid)
    }
}
/// Marks the fault of a cursor that a page of another range returned.
#[derive(Debug, thiserror::Error)]
#[error("the cursor belongs to another list: begin at the first page")]
struct CursorOfAnotherRange;
/// Marks the fault of a consistency token with a position that the log has not reached.
#[derive(Debug)]
struct BeyondTheLog;
impl fmt::Display for BeyondTheLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the position may come from a restored database, or may be made up")
    }
}
impl std::error::Error for BeyondTheLog {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
/// The refusal of a handler's parameter ([`FromContext`](crate::FromContext)).
///
/// The caller is not known or not allowed, the request is not valid, or a dependency was not provided.
///
/// ```
/// use cqrs_core::{ErrorKind, Rejection};
///
/// let rejection = Rejection::unauthenticated("log in first");
/// assert_eq!((rejection.kind(), rejection.to_string().as_str()), (ErrorKind::Unauthenticated, "log in first"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    kind: ErrorKind,
    message: Cow<'static, str>,
}
impl Rejection {
    /// Refuses a caller that is not known.
    pub fn unauthenticated(message: impl Into<Cow<'static, str>>) -> Self {
        Rejection { kind: ErrorKind::Unauthenticated, message: message.into() }
    }
    /// Refuses a caller that is known and not allowed.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Rejection { kind: ErrorKind::Forbidden, message: message.into() }
    }
    /// Refuses a request with invalid content or metadata.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Rejection { kind: ErrorKind::Invalid, message: message.into() }
    }
    /// Reports a dependency that was not provided. It is an internal fault, not an error of the caller.
    pub fn missing(dependency: impl fmt::Display) -> Self {
        Rejection { kind: ErrorKind::Internal, message: format!("nothing provides `{dependency}`").into() }
    }
    /// Refuses a command that was sent to the query side of a service.
    pub(crate) fn query_side() -> Self {
        Rejection {
            kind: ErrorKind::Precondition,
            message: "this process serves only queries: send the command to the service itself".into(),
        }
    }
    /// Returns the kind, which decides the status that the caller gets.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}
impl From<Rejection> for Fault {
    fn from(rejection: Rejection) -> Self {
        Fault::internal(rejection.to_string())
    }
}
impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Fault::internal("stored data cannot be read or written").because(error)
    }
}

/// The error of a request. `E` is the use case's own [`DomainError`]; the other variants come from the framework.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error<E> {
    /// A rule of the domain refused the request.
    Domain(E),
    /// The aggregate or view does not exist.
    NotFound {
        /// Name of the aggregate or view.
        kind: &'static str,
        /// The requested id or key.
        id: String,
    },
    /// The aggregate to be created already exists.
    Exists {
        /// The aggregate's name and id.
        what: String,
    },
    /// Other requests changed the aggregate at the same time, and all retries are used up (optimistic concurrency).
    Conflict {
        /// The aggregate's name and id.
        what: String,
        /// The version that the last attempt relied on, the one that was stored, and the request that wrote it; `None`
        /// if the storage does not know them.
        versions: Option<VersionConflict>,
    },
    /// A unique value is reserved by another aggregate.
    Taken {
        /// Name of the reservation's index, such as `user.nickname`.
        index: String,
        /// The taken value.
        value: String,
    },
    /// The idempotency key was already used for a command with other content.
    KeyReused,
    /// The command was carried out before under its idempotency key, and this program cannot read the stored response:
    /// another version of the program stored it.
    ResponseUnreadable,
    /// A parameter of the handler refused the request, such as an extractor that needs a known caller; or the request
    /// holds a value that cannot be stored.
    Rejected(Rejection),
    /// The caller's consistency token is from another epoch of the service's database, such as from before a restore. Its
    /// positions mean nothing here. The request succeeds without the token.
    OutdatedToken(Fault),
    /// A cursor belongs to a page of another range: another index, other values of its columns, or the other direction. The
    /// caller begins at the first page.
    CursorOfAnotherRange(Fault),
    /// It is not known whether the command took effect, and it had no idempotency key under which that could be looked up.
    /// A retry may carry it out twice.
    OutcomeUnknown(Fault),
    /// A technical failure that the caller did not cause. Nothing was committed, or the command had an idempotency key,
    /// under which a repetition takes effect once.
    Fault(Fault),
}

impl<E: DomainError> Error<E> {
    /// Returns the kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Domain(error) => error.kind(),
            Error::NotFound { .. } => ErrorKind::NotFound,
            Error::Exists { .. } | Error::Taken { .. } | Error::KeyReused | Error::ResponseUnreadable => {
                ErrorKind::AlreadyExists
            }
            Error::Conflict { .. } => ErrorKind::Conflict,
            Error::Rejected(rejection) => rejection.kind,
            Error::OutdatedToken(_) => ErrorKind::Precondition,
            Error::CursorOfAnotherRange(_) => ErrorKind::Invalid,
            Error::OutcomeUnknown(_) => ErrorKind::OutcomeUnknown,
            Error::Fault(fault) => fault.kind(),
        }
    }
    /// Returns a stable code for programs, in capitals.
    pub fn reason(&self) -> Cow<'static, str> {
        match self {
            Error::Domain(error) => error.reason(),
            Error::NotFound { .. } => "NOT_FOUND".into(),
            Error::Exists { .. } => "ALREADY_EXISTS".into(),
            Error::Taken { .. } => "TAKEN".into(),
            Error::KeyReused => "IDEMPOTENCY_KEY_REUSED".into(),
            Error::ResponseUnreadable => "RESPONSE_UNREADABLE".into(),
            Error::Conflict { .. } => "CONFLICT".into(),
            Error::Rejected(rejection) => match rejection.kind {
                ErrorKind::Unauthenticated => "UNAUTHENTICATED".into(),
                ErrorKind::Forbidden => "FORBIDDEN".into(),
                ErrorKind::Precondition => "QUERIES_ONLY".into(),
                _ => "INVALID".into(),
            },
            Error::OutdatedToken(_) => "CONSISTENCY_TOKEN_OUTDATED".into(),
            Error::CursorOfAnotherRange(_) => "CURSOR_OF_ANOTHER_RANGE".into(),
            Error::OutcomeUnknown(_) => "OUTCOME_UNKNOWN".into(),
            Error::Fault(fault) => match fault.kind() {
                ErrorKind::Unavailable => "UNAVAILABLE".into(),
                ErrorKind::Deadline => "DEADLINE_EXCEEDED".into(),
                _ => "INTERNAL".into(),
            },
        }
    }
}
impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Domain(error) => error.fmt(f),
            Error::NotFound { kind, id } => write!(f, "{kind} {id} not found"),
            Error::Exists { what } => write!(f, "{what} already exists"),
            Error::Conflict { what, versions } => {
                let versions = described(versions.as_ref());
                write!(f, "{what} was changed by another request at the same time{versions}; try again")
            }
            Error::Taken { index, value } => write!(f, "{index} {value} is taken"),
            Error::KeyReused => f.write_str("the idempotency key was already used with other content; send a new key"),
            Error::ResponseUnreadable => f.write_str(
                "the command was already carried out under this idempotency key, but its stored response cannot be read",
            ),
            Error::Rejected(rejection) => rejection.fmt(f),
            Error::OutcomeUnknown(_) => f.write_str(
                "the connection to the database was lost during the commit, so it is not known whether the request took effect",
            ),
            Error::OutdatedToken(fault) | Error::CursorOfAnotherRange(fault) | Error::Fault(fault) => fault.fmt(f),
        }
    }
}
impl<E: std::error::Error> std::error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Domain(error) => error.source(),
            Error::OutcomeUnknown(fault) => Some(fault),
            Error::Fault(fault) => fault.source(),
            _ => None,
        }
    }
}
impl<E: DomainError> From<E> for Error<E> {
    fn from(error: E) -> Self {
        Error::Domain(error)
    }
}
impl<E> From<Fault> for Error<E> {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            ErrorKind::Invalid if fault.is_cursor_of_another_range() => Error::CursorOfAnotherRange(fault),
            ErrorKind::Invalid => Error::Rejected(Rejection { kind: fault.kind, message: fault.message }),
            ErrorKind::OutcomeUnknown => Error::OutcomeUnknown(fault),
            ErrorKind::Precondition => Error::OutdatedToken(fault),
            _ => Error::Fault(fault),
        }
    }
}
impl<E> From<Rejection> for Error<E> {
    fn from(rejection: Rejection) -> Self {
        match rejection.kind {
            ErrorKind::Internal => Error::Fault(rejection.into()),
            _ => Error::Rejected(rejection),
        }
    }
}

/// The two types in a handler's return type, so that a macro can name them.
#[diagnostic::on_unimplemented(
    message = "a handler returns `cqrs_core::HandlerResult<Output, DomainError>`, not `{Self}`",
    note = "write `-> cqrs_core::HandlerResult<Output, YourError>`, or `HandlerResult<Output>` without domain errors"
)]
pub trait HandlerReturn {
    /// The output of a handler that succeeded.
    type Output;
    /// The domain error of a handler that refused.
    type Error;
}
impl<T, E> HandlerReturn for Result<T, Error<E>> {
    type Output = T;
    type Error = E;
}

/// The error of a handler without domain errors.
impl DomainError for Infallible {
    fn kind(&self) -> ErrorKind {
        match *self {}
    }
    fn reason(&self) -> Cow<'static, str> {
        match *self {}
    }
}
