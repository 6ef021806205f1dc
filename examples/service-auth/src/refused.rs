//! The errors of calls that fail authentication.
use contracts::{TOKEN_METADATA, USER_METADATA};
use cqrs_core::{DomainError, ErrorKind, grpc};
use std::borrow::Cow;
use tonic::Status;

/// The error of a call that fails authentication: UNAUTHENTICATED with a machine-readable reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The call concerns a person, but names none.
    #[error("the call concerns a person, but does not name one")]
    Missing,
    /// The RPC is for the gateway itself, or for administrators, and the caller is neither.
    #[error("this method is not for people without the authority for it")]
    Forbidden,
    /// The call names a person without a proof.
    #[error("{USER_METADATA} is accepted only with the gateway's {TOKEN_METADATA}")]
    NotSigned,
    /// The token has expired.
    #[error("{TOKEN_METADATA} has expired")]
    Expired,
    /// The token is malformed, or was signed with another key, or for another service or method.
    #[error("{TOKEN_METADATA} is not a valid token of a known caller for this service and method")]
    Invalid,
    /// Token, metadata and certificate contradict each other.
    #[error("{TOKEN_METADATA}, {USER_METADATA} and the caller's certificate name different parties")]
    Mismatch,
    /// The metadata is malformed or repeated.
    #[error("{USER_METADATA} cannot be read")]
    Unreadable,
    /// The certificate is valid, but its owner may not call this service.
    #[error("the caller's certificate does not allow calls to this service")]
    Caller,
}

/// The prefix of all reasons.
const PREFIX: &str = "IDENTITY_";

impl Refused {
    /// Returns whether a service refused its caller's proof: then the caller is misconfigured, and its user is not at
    /// fault.
    pub fn is_reported_by(status: &Status) -> bool {
        status.code() == tonic::Code::Unauthenticated
            && grpc::details(status).reason.is_some_and(|reason| reason.starts_with(PREFIX))
    }
}

impl DomainError for Refused {
    fn kind(&self) -> ErrorKind {
        match self {
            Refused::Forbidden => ErrorKind::Forbidden,
            _ => ErrorKind::Unauthenticated,
        }
    }
    fn reason(&self) -> Cow<'static, str> {
        format!("{PREFIX}{}", self.name()).into()
    }
}
impl Refused {
    /// Returns the name of the reason, for the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Refused::Missing => "MISSING",
            Refused::Forbidden => "FORBIDDEN",
            Refused::NotSigned => "NOT_SIGNED",
            Refused::Expired => "EXPIRED",
            Refused::Invalid => "INVALID",
            Refused::Mismatch => "MISMATCH",
            Refused::Unreadable => "UNREADABLE",
            Refused::Caller => "CALLER_NOT_ALLOWED",
        }
    }
}
impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        grpc::status_of(&refused)
    }
}
