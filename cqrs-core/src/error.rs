//! What can go wrong: a rejection is the caller's business, a fault is ours.
use crate::context::Missing;
use std::{borrow::Cow, fmt};

/// Any error, as the framework takes it from ports, codecs and drivers.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a handler returns: its output, or a rejection or fault.
pub type Result<T, E> = core::result::Result<T, Error<E>>;

/// Whose fault an error is and what the caller can do about it. Every transport maps these and nothing else
/// (feature `tonic`: to gRPC codes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input can never be right (gRPC INVALID_ARGUMENT, HTTP 400).
    Invalid,
    /// Nobody, or nobody we know, is asking (UNAUTHENTICATED, 401).
    Unauthenticated,
    /// This caller may not (PERMISSION_DENIED, 403).
    Forbidden,
    /// It is not there, or not for this caller (NOT_FOUND, 404).
    NotFound,
    /// It is there already: a taken value, a reused idempotency key (ALREADY_EXISTS, 409).
    AlreadyExists,
    /// Somebody else changed it meanwhile; asking again may work (ABORTED, 409).
    Conflict,
    /// Right input, wrong state (FAILED_PRECONDITION, 400).
    Precondition,
    /// A quota is used up (RESOURCE_EXHAUSTED, 429).
    Exhausted,
    /// It took longer than the caller wanted to wait (DEADLINE_EXCEEDED, 504).
    Deadline,
    /// A part is down; asking later may work (UNAVAILABLE, 503).
    Unavailable,
    /// A bug or broken data (INTERNAL, 500).
    Internal,
}

/// A domain's own error: what a decision refuses, with its kind.
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
    /// Whose fault it is.
    fn kind(&self) -> ErrorKind;
    /// A stable code for machines, in capitals: the variant's name unless the derive says otherwise.
    fn reason(&self) -> Cow<'static, str>;
    /// The field of the request that is at fault, if one is.
    fn field(&self) -> Option<&'static str> {
        None
    }
}

/// Something broke that is not the caller's business: a database, a codec, the wiring.
#[derive(Debug)]
pub struct Fault {
    /// What kind of trouble; never one of the caller's kinds.
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<BoxError>,
}

impl Fault {
    /// Trouble that may pass: the caller may try again later.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Fault { kind: ErrorKind::Unavailable, message: message.into(), source: None }
    }
    /// Trouble that will not pass by itself: a bug or broken data.
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Fault { kind: ErrorKind::Internal, message: message.into(), source: None }
    }
    /// The caller's time is over.
    pub fn deadline(message: impl Into<Cow<'static, str>>) -> Self {
        Fault { kind: ErrorKind::Deadline, message: message.into(), source: None }
    }
    /// What caused it.
    pub fn because(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }
    /// [`ErrorKind::Unavailable`], [`ErrorKind::Deadline`] or [`ErrorKind::Internal`].
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        self.kind != ErrorKind::Internal
    }
}
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|it| it as _)
    }
}
impl From<Missing> for Fault {
    fn from(missing: Missing) -> Self {
        Fault::internal(missing.to_string())
    }
}
impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Fault::internal("stored data cannot be read or written").because(error)
    }
}

/// Why a request was not done. `E` is the use case's own [`DomainError`]; the rest is the framework's.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error<E> {
    /// A rule of the domain says no.
    Domain(E),
    /// There is no aggregate of this kind and id.
    NotFound {
        /// The aggregate's name.
        kind: &'static str,
        /// The id that was asked for.
        id: String,
    },
    /// What was to be created is there already.
    Exists {
        /// The aggregate's name and id.
        what: String,
    },
    /// Changed by somebody else, again and again: the retries are used up.
    Conflict {
        /// The aggregate's name and id.
        what: String,
    },
    /// A value that must be unique belongs to another.
    Taken {
        /// Name of the claim, such as `user.nickname`.
        index: String,
        /// The value that is taken.
        value: String,
    },
    /// The idempotency key was used for another command before.
    KeyReused,
    /// Not the caller's fault.
    Fault(Fault),
}

impl<E: DomainError> Error<E> {
    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Domain(error) => error.kind(),
            Error::NotFound { .. } => ErrorKind::NotFound,
            Error::Exists { .. } | Error::Taken { .. } | Error::KeyReused => ErrorKind::AlreadyExists,
            Error::Conflict { .. } => ErrorKind::Conflict,
            Error::Fault(fault) => fault.kind(),
        }
    }
    /// A stable code for machines, in capitals.
    pub fn reason(&self) -> Cow<'static, str> {
        match self {
            Error::Domain(error) => error.reason(),
            Error::NotFound { .. } => "NOT_FOUND".into(),
            Error::Exists { .. } => "ALREADY_EXISTS".into(),
            Error::Taken { .. } => "TAKEN".into(),
            Error::KeyReused => "IDEMPOTENCY_KEY_REUSED".into(),
            Error::Conflict { .. } => "CONFLICT".into(),
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
            Error::Exists { what } => write!(f, "{what} exists already"),
            Error::Conflict { what } => write!(f, "{what} was changed by someone else"),
            Error::Taken { index, value } => write!(f, "{index} {value} is taken"),
            Error::KeyReused => f.write_str("the idempotency key was used for another command"),
            Error::Fault(fault) => fault.fmt(f),
        }
    }
}
impl<E: std::error::Error> std::error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Domain(error) => error.source(),
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
        Error::Fault(fault)
    }
}
impl<E> From<Missing> for Error<E> {
    fn from(missing: Missing) -> Self {
        Error::Fault(missing.into())
    }
}

/// The two halves of a handler's return type, so that a macro can name them.
#[diagnostic::on_unimplemented(
    message = "a handler returns `cqrs_core::Result<Output, DomainError>`, not `{Self}`",
    note = "write `-> cqrs_core::Result<Output, YourError>`; a handler without rules of its own uses `cqrs_core::Never`"
)]
pub trait Outcome {
    /// What is returned when it worked.
    type Output;
    /// The domain error otherwise.
    type Error;
}
impl<T, E> Outcome for core::result::Result<T, Error<E>> {
    type Output = T;
    type Error = E;
}

/// The error of a handler that has no rules of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Never {}
impl fmt::Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}
impl std::error::Error for Never {}
impl DomainError for Never {
    fn kind(&self) -> ErrorKind {
        match *self {}
    }
    fn reason(&self) -> Cow<'static, str> {
        match *self {}
    }
}
