//! The events of credentials.
use super::{Account, Authority, AuthoritySource, LinkId, SessionId, TokenHash};
use cqrs_core::{Event, Timestamp};
use serde::{Deserialize, Serialize};

/// The events of credentials. A refresh token occurs only as its hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "auth-user", version = 1)]
pub enum AuthUserEvent {
    /// A person without a login was registered.
    Created { at: Timestamp },
    /// The person was linked to an account of a provider.
    Linked { link: LinkId, account: Account, at: Timestamp },
    /// The permissions were changed. The event's metadata names the operator, if there is one.
    AuthorityChanged {
        authority: Authority,
        #[serde(default)]
        source: AuthoritySource,
        at: Timestamp,
    },
    /// A session began with its first refresh token. The `dropped` sessions ended, because there were too many.
    SessionStarted {
        session: SessionId,
        token: TokenHash,
        expires_at: Timestamp,
        dropped: Vec<SessionId>,
        at: Timestamp,
    },
    /// The refresh token of a session was used up without a successor.
    TokenUsed { session: SessionId, at: Timestamp },
    /// The refresh token of a session was replaced.
    TokenRotated { session: SessionId, next: TokenHash, expires_at: Timestamp, at: Timestamp },
    /// Sessions ended.
    SessionsEnded { sessions: Vec<SessionId>, reason: SessionEnd, at: Timestamp },
}

/// The reason for the end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionEnd {
    /// The session was ended on request, as by a logout.
    Revoked,
    /// A refresh token was used for the second time, so somebody has a copy of it.
    TokenReused,
}

impl AuthUserEvent {
    /// Returns the time of the event.
    pub fn at(&self) -> Timestamp {
        match self {
            AuthUserEvent::Created { at }
            | AuthUserEvent::Linked { at, .. }
            | AuthUserEvent::AuthorityChanged { at, .. }
            | AuthUserEvent::SessionStarted { at, .. }
            | AuthUserEvent::TokenUsed { at, .. }
            | AuthUserEvent::TokenRotated { at, .. }
            | AuthUserEvent::SessionsEnded { at, .. } => *at,
        }
    }
}
