//! Why a call is not believed.
use contracts::{TOKEN_METADATA, USER_METADATA};
use cqrs_core::{DomainError, ErrorKind, grpc};
use std::borrow::Cow;
use tonic::Status;

/// Why a call is not believed. Each is UNAUTHENTICATED, with its own reason for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The call is about a person, and nobody says for whom it is.
    #[error("this concerns a person, and nobody says for whom it is asked")]
    Missing,
    /// Somebody wrote who they are, without a proof.
    #[error("{USER_METADATA} counts only with the gateway's {TOKEN_METADATA}")]
    NotSigned,
    /// The token's time is over.
    #[error("{TOKEN_METADATA} has expired")]
    Expired,
    /// The token is none, or was signed by somebody else, or for another service.
    #[error("{TOKEN_METADATA} is not one of the gateway's for this service")]
    Invalid,
    /// Token, metadata and certificate do not say the same.
    #[error("{TOKEN_METADATA}, {USER_METADATA} and the caller's certificate name different parties")]
    Mismatch,
    /// Metadata that cannot be read, or is there twice.
    #[error("{USER_METADATA} cannot be read")]
    Unreadable,
    /// The certificate is good, and of somebody who has no business here.
    #[error("the caller's certificate names nobody who may call this service")]
    Caller,
}

/// What all reasons begin with.
const PREFIX: &str = "IDENTITY_";

impl Refused {
    /// Whether a service refused because it did not believe its caller: then the caller is set up wrongly, not its user.
    pub fn told_by(status: &Status) -> bool {
        status.code() == tonic::Code::Unauthenticated
            && grpc::details(status).reason.is_some_and(|reason| reason.starts_with(PREFIX))
    }
}

impl DomainError for Refused {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Unauthenticated
    }
    fn reason(&self) -> Cow<'static, str> {
        let reason = match self {
            Refused::Missing => "MISSING",
            Refused::NotSigned => "NOT_SIGNED",
            Refused::Expired => "EXPIRED",
            Refused::Invalid => "INVALID",
            Refused::Mismatch => "MISMATCH",
            Refused::Unreadable => "UNREADABLE",
            Refused::Caller => "CALLER_NOT_ALLOWED",
        };
        format!("{PREFIX}{reason}").into()
    }
}
impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        grpc::status_of(&refused)
    }
}
