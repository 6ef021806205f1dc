//! Who holds a person's credentials: one to each person. So far only those who have none.
use super::user::UserId;
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};

cqrs_core::id!(
    /// Identifies credentials.
    pub AuthUserId
);

/// The holder of a person's credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "auth-user", event = AuthUserEvent)]
pub struct AuthUser {
    #[id]
    id: AuthUserId,
    #[unique]
    user: UserId,
    channel: AuthChannel,
    authority: Authority,
    created_at: Timestamp,
}

/// How a person proves who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthChannel {
    /// Not at all: known only by the session of the first visit.
    Unlinked,
}
/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authority {
    /// What everybody may.
    User,
}

/// What can happen to credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "auth-user", version = 1)]
pub enum AuthUserEvent {
    /// Somebody came who has none yet.
    #[allow(missing_docs, reason = "the names say it")]
    Created { id: AuthUserId, user: UserId, at: Timestamp },
}

impl AuthUser {
    /// Somebody comes for the first time.
    pub fn unlinked(id: AuthUserId, user: UserId, now: Timestamp) -> AuthUserEvent {
        AuthUserEvent::Created { id, user, at: now }
    }
    /// Whose credentials.
    pub fn user(&self) -> UserId {
        self.user
    }
    /// How they prove who they are.
    pub fn channel(&self) -> AuthChannel {
        self.channel
    }
    /// What they may do.
    pub fn authority(&self) -> Authority {
        self.authority
    }
    /// When they came.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }
}
impl Evolve<AuthUserEvent> for AuthUser {
    fn create(event: &AuthUserEvent) -> Option<Self> {
        let AuthUserEvent::Created { id, user, at } = *event;
        let (channel, authority) = (AuthChannel::Unlinked, Authority::User);
        Some(AuthUser { id, user, channel, authority, created_at: at })
    }
    fn apply(&mut self, _: &AuthUserEvent) {}
}
