//! A person's credentials, one set for each person. So far only people without a login exist.
use super::user::UserId;
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};

cqrs_core::id!(
    /// Identifies credentials.
    pub AuthUserId
);

/// A person's credentials.
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

/// The way in which a person logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthChannel {
    /// No login: the person is known only by the session of the first visit.
    Unlinked,
}
/// The permissions of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authority {
    /// The permissions of every person.
    User,
}

/// The events of credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "auth-user", version = 1)]
pub enum AuthUserEvent {
    /// A person without a login was registered.
    Created { user: UserId, at: Timestamp },
}

impl AuthUser {
    /// Creates the credentials of a person without a login.
    pub fn unlinked(user: UserId, now: Timestamp) -> AuthUserEvent {
        AuthUserEvent::Created { user, at: now }
    }
    pub fn user(&self) -> UserId {
        self.user
    }
    pub fn channel(&self) -> AuthChannel {
        self.channel
    }
    pub fn authority(&self) -> Authority {
        self.authority
    }
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }
}
impl Evolve<AuthUserEvent> for AuthUser {
    fn create(id: AuthUserId, event: &AuthUserEvent) -> Option<Self> {
        let AuthUserEvent::Created { user, at } = *event;
        let (channel, authority) = (AuthChannel::Unlinked, Authority::User);
        Some(AuthUser { id, user, channel, authority, created_at: at })
    }
    fn apply(&mut self, _: &AuthUserEvent) {}
}
