//! The view of a person's credentials. It has no token, not even as a hash.
use crate::domain::auth_user::{Account, AuthUser, AuthUserEvent, AuthUserId, Authority, Link, OpenSession};
use cqrs_core::{Aggregate, Change, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// A person's credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "auth-user-summary", key = AuthUserId)]
#[index(by_account(account))]
pub struct AuthUserSummary {
    pub id: AuthUserId,
    pub account: Option<Account>,
    pub link: Option<Link>,
    pub authority: Authority,
    /// The sessions that can be refreshed; the one that was refreshed last is the last.
    pub sessions: Vec<OpenSession>,
    pub last_login_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
impl AuthUserSummary {
    /// Builds the summary from the aggregate, for a command's result: the view catches up later.
    pub fn of(auth_user: &AuthUser, now: Timestamp) -> Self {
        let summary = AuthUserSummary {
            id: *auth_user.id(),
            account: auth_user.account().cloned(),
            link: auth_user.linked(),
            authority: auth_user.authority(),
            sessions: auth_user.open_sessions(),
            last_login_at: auth_user.last_login_at(),
            created_at: auth_user.created_at(),
            updated_at: auth_user.updated_at(),
        };
        summary.at(now)
    }
    /// Returns the summary without the sessions that have expired.
    pub fn at(mut self, now: Timestamp) -> Self {
        self.sessions.retain(|session| session.expires_at > now);
        self
    }
    fn apply(&mut self, event: AuthUserEvent) {
        self.updated_at = event.at();
        match event {
            AuthUserEvent::Created { .. } => (),
            AuthUserEvent::Linked { link: id, account, at } => {
                (self.account, self.link) = (Some(account), Some(Link { id, at }));
            }
            AuthUserEvent::AuthorityChanged { authority, .. } => self.authority = authority,
            AuthUserEvent::SessionStarted { session: id, expires_at, dropped, at, .. } => {
                self.sessions.retain(|session| !dropped.contains(&session.id) && session.expires_at > at);
                self.sessions.push(OpenSession { id, expires_at, refreshed_at: at });
                self.last_login_at = Some(at);
            }
            AuthUserEvent::TokenUsed { session: id, at } => {
                self.sessions.retain(|session| session.id != id);
                self.last_login_at = Some(at);
            }
            AuthUserEvent::TokenRotated { session: id, expires_at, at, .. } => {
                self.sessions.retain(|session| session.id != id);
                self.sessions.push(OpenSession { id, expires_at, refreshed_at: at });
                self.last_login_at = Some(at);
            }
            AuthUserEvent::SessionsEnded { sessions, .. } => {
                self.sessions.retain(|session| !sessions.contains(&session.id));
            }
        }
    }
}

#[projection(name = "auth-user-summary")]
fn auth_user_summary(event: &Recorded<AuthUserEvent>) -> Change<AuthUserSummary> {
    let id = event.aggregate_id;
    let event = event.event.clone();
    let AuthUserEvent::Created { at } = event else {
        return AuthUserSummary::update(id, move |summary| summary.apply(event));
    };
    let summary = AuthUserSummary {
        id,
        account: None,
        link: None,
        authority: Authority::User,
        sessions: Vec::new(),
        last_login_at: None,
        created_at: at,
        updated_at: at,
    };
    summary.put(id)
}
