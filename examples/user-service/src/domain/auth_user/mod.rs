//! A person's credentials: the linked account, the permissions and the sessions. One set for each person.
mod account;
mod error;
mod event;
mod session;
#[cfg(test)]
mod tests;

pub use account::{Account, Provider};
pub use error::AuthUserError;
pub use event::{AuthUserEvent, SessionEnd};
pub use session::{LONGEST, OpenSession, SESSIONS_MOST, SessionId, TokenHash, USED_MOST};

use super::user::UserId;
use cqrs_core::{Aggregate, Evolve, Timestamp};
use serde::{Deserialize, Serialize};
use session::{Session, may_expire_at};

cqrs_core::id!(
    /// Identifies credentials. It is the id of their person, so credentials are found without a look-up, and a person
    /// cannot have two sets.
    pub AuthUserId
);
impl AuthUserId {
    /// Returns the id of a person's credentials.
    pub fn of(user: UserId) -> Self {
        AuthUserId(user.0)
    }
    /// Returns the person.
    pub fn user(self) -> UserId {
        UserId(self.0)
    }
}
cqrs_core::id!(
    /// Identifies the link to an account.
    pub LinkId
);

/// The permissions of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authority {
    /// The permissions of every person.
    User,
    /// The permissions of an administrator.
    Admin,
}

/// The source of a change of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum AuthoritySource {
    /// An operator: the program's command, or the link of the first start.
    #[default]
    Operator,
    /// The list of administrators in the gateway's configuration, which is applied at each login.
    Configuration,
}

/// A person's credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "auth-user", event = AuthUserEvent)]
pub struct AuthUser {
    #[id]
    id: AuthUserId,
    /// The linked account; unique, so an account belongs to at most one person.
    #[unique]
    account: Option<Account>,
    link: Option<Link>,
    authority: Authority,
    /// The source of the last change of `authority`.
    #[serde(default)]
    authority_source: AuthoritySource,
    /// The sessions; the one that was refreshed last is the last.
    sessions: Vec<Session>,
    last_login_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// The time at which a person was linked to their account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub id: LinkId,
    pub at: Timestamp,
}

impl AuthUser {
    /// Creates the credentials of a person without a login.
    pub fn unlinked(now: Timestamp) -> AuthUserEvent {
        AuthUserEvent::Created { at: now }
    }
    /// Links the person to an account.
    ///
    /// # Errors
    /// Fails when the person is linked already.
    pub fn link(&self, link: LinkId, account: Account, now: Timestamp) -> Result<AuthUserEvent, AuthUserError> {
        match self.account {
            Some(_) => Err(AuthUserError::AlreadyLinked),
            None => Ok(AuthUserEvent::Linked { link, account, at: now }),
        }
    }
    /// Changes the permissions. Produces no event when the person has them already, and when the configuration would take
    /// back what an operator has given.
    pub fn change_authority(
        &self,
        authority: Authority,
        source: AuthoritySource,
        now: Timestamp,
    ) -> Option<AuthUserEvent> {
        let is_configured = self.authority_source == AuthoritySource::Configuration;
        let by_operator = source == AuthoritySource::Operator;
        let changes = match (self.authority, authority) {
            (Authority::User, Authority::User) => false,
            (Authority::User, Authority::Admin) => true,
            // The promotion by an operator outlives the person's place in the configuration.
            (Authority::Admin, Authority::Admin) => is_configured && by_operator,
            (Authority::Admin, Authority::User) => is_configured || by_operator,
        };
        changes.then_some(AuthUserEvent::AuthorityChanged { authority, source, at: now })
    }
    /// Begins a session with its first refresh token. A repeat produces no event.
    ///
    /// # Errors
    /// Fails when the token expires too early or too late, and when it belonged to a session before.
    pub fn start_session(
        &self,
        session: SessionId,
        token: TokenHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<Option<AuthUserEvent>, AuthUserError> {
        if !may_expire_at(expires_at, now) {
            return Err(AuthUserError::ExpiresAt);
        }
        if let Some(known) = self.session_with(&token) {
            let repeated = known.used.is_empty() && known.current.is_some();
            return if repeated { Ok(None) } else { Err(AuthUserError::TokenNotNew) };
        }
        let dropped = self.too_many(now);
        Ok(Some(AuthUserEvent::SessionStarted { session, token, expires_at, dropped, at: now }))
    }
    /// Uses up a refresh token without a successor. A token that was used before ends its session.
    ///
    /// # Errors
    /// Fails when the token is unknown or has expired.
    pub fn use_token(&self, token: &TokenHash, now: Timestamp) -> Result<AuthUserEvent, AuthUserError> {
        let session = self.open_session_with(token, now)?;
        Ok(match session.current.as_ref() == Some(token) {
            true => AuthUserEvent::TokenUsed { session: session.id, at: now },
            false => Self::reused(session, now),
        })
    }
    /// Replaces a refresh token by its successor. A token that was replaced before ends its session; only the repeat of
    /// its own rotation produces no event.
    ///
    /// # Errors
    /// Fails when the token is unknown or has expired, and when the successor expires too early or too late or is not
    /// new.
    pub fn rotate_token(
        &self,
        token: &TokenHash,
        next: TokenHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<Option<AuthUserEvent>, AuthUserError> {
        if !may_expire_at(expires_at, now) {
            return Err(AuthUserError::NewExpiresAt);
        }
        let session = self.open_session_with(token, now)?;
        if session.has_replaced(token, &next) {
            return Ok(None);
        }
        if session.current.as_ref() != Some(token) {
            return Ok(Some(Self::reused(session, now)));
        }
        if self.session_with(&next).is_some() {
            return Err(AuthUserError::TokenNotNew);
        }
        Ok(Some(AuthUserEvent::TokenRotated { session: session.id, next, expires_at, at: now }))
    }
    /// Ends the session of a token, which may be a used one, or all sessions. Produces no event when there is none.
    pub fn revoke(&self, token: Option<&TokenHash>, now: Timestamp) -> Option<AuthUserEvent> {
        let ends = |session: &&Session| token.is_none_or(|token| session.has(token));
        let sessions: Vec<_> = self.sessions.iter().filter(ends).map(|session| session.id).collect();
        let reason = SessionEnd::Revoked;
        (!sessions.is_empty()).then_some(AuthUserEvent::SessionsEnded { sessions, reason, at: now })
    }

    /// Returns whether the token belongs to a session that has not ended.
    pub fn knows(&self, token: &TokenHash) -> bool {
        self.session_with(token).is_some()
    }
    pub fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }
    pub fn is_linked(&self) -> bool {
        self.account.is_some()
    }
    /// Returns the link to the account, if there is one.
    pub fn linked(&self) -> Option<Link> {
        self.link
    }
    pub fn authority(&self) -> Authority {
        self.authority
    }
    /// Returns the sessions that can be refreshed, with those that have expired since the last change.
    pub fn open_sessions(&self) -> Vec<OpenSession> {
        self.sessions.iter().filter_map(Session::open).collect()
    }
    /// Returns the time of the last login or refresh.
    pub fn last_login_at(&self) -> Option<Timestamp> {
        self.last_login_at
    }
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    fn reused(session: &Session, now: Timestamp) -> AuthUserEvent {
        AuthUserEvent::SessionsEnded { sessions: vec![session.id], reason: SessionEnd::TokenReused, at: now }
    }
    fn session_with(&self, token: &TokenHash) -> Option<&Session> {
        self.sessions.iter().find(|session| session.has(token))
    }
    fn open_session_with(&self, token: &TokenHash, now: Timestamp) -> Result<&Session, AuthUserError> {
        let found = self.session_with(token).filter(|session| session.expires_at > now);
        found.ok_or(AuthUserError::RefreshTokenInvalid)
    }
    /// Returns the sessions that must end before another begins: those without a valid token first, then those that were
    /// not refreshed for longest.
    fn too_many(&self, now: Timestamp) -> Vec<SessionId> {
        let open = || self.sessions.iter().filter(|session| session.expires_at > now);
        let (used_up, valid) = (open().filter(|s| s.current.is_none()), open().filter(|s| s.current.is_some()));
        let excess = (open().count() + 1).saturating_sub(SESSIONS_MOST);
        used_up.chain(valid).map(|session| session.id).take(excess).collect()
    }
    /// Changes a session, which becomes the one that was refreshed last.
    fn refreshed(&mut self, id: SessionId, change: impl FnOnce(&mut Session)) {
        if let Some(position) = self.sessions.iter().position(|session| session.id == id) {
            let mut session = self.sessions.remove(position);
            change(&mut session);
            self.sessions.push(session);
        }
    }
}

impl Evolve<AuthUserEvent> for AuthUser {
    fn create(id: AuthUserId, event: &AuthUserEvent) -> Option<Self> {
        let AuthUserEvent::Created { at } = *event else { return None };
        Some(AuthUser {
            id,
            account: None,
            link: None,
            authority: Authority::User,
            authority_source: AuthoritySource::default(),
            sessions: Vec::new(),
            last_login_at: None,
            created_at: at,
            updated_at: at,
        })
    }

    fn apply(&mut self, event: &AuthUserEvent) {
        match event.clone() {
            AuthUserEvent::Created { .. } => (),
            AuthUserEvent::Linked { link, account, at } => {
                (self.account, self.link) = (Some(account), Some(Link { id: link, at }));
            }
            AuthUserEvent::AuthorityChanged { authority, source, .. } => {
                (self.authority, self.authority_source) = (authority, source);
            }
            AuthUserEvent::SessionStarted { session: id, token, expires_at, dropped, at } => {
                self.sessions.retain(|session| !dropped.contains(&session.id) && session.expires_at > at);
                self.sessions.push(Session {
                    id,
                    current: Some(token),
                    used: Vec::new(),
                    expires_at,
                    refreshed_at: at,
                });
                self.last_login_at = Some(at);
            }
            AuthUserEvent::TokenUsed { session, at } => {
                self.refreshed(session, |session| session.use_up(None));
                self.last_login_at = Some(at);
            }
            AuthUserEvent::TokenRotated { session, next, expires_at, at } => {
                self.refreshed(session, |session| {
                    session.use_up(Some(next));
                    (session.expires_at, session.refreshed_at) = (expires_at, at);
                });
                self.last_login_at = Some(at);
            }
            AuthUserEvent::SessionsEnded { sessions, .. } => {
                self.sessions.retain(|session| !sessions.contains(&session.id));
            }
        }
        self.updated_at = event.at();
    }
}
