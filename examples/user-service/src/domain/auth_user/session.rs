//! Sessions: families of refresh tokens, of which the last one is valid.
//!
//! A refresh token is used once. One that comes a second time was copied, and it is unknown which of both callers is
//! the person, so the whole session ends (RFC 9700, 4.14.2).
use super::AuthUserError;
use cqrs_core::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fmt::Write, time::Duration};

cqrs_core::id!(
    /// Identifies a session.
    pub SessionId
);

/// The number of sessions that a person can refresh. A session more ends the one that was not refreshed for longest.
pub const SESSIONS_MOST: usize = 10;
/// The number of used tokens that a session remembers. One that was used before them is unknown: it is refused, but the
/// session does not end. The limit keeps the credentials small.
pub const USED_MOST: usize = 32;
/// The longest time for which a refresh token is valid.
pub const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
pub(super) const LONGEST_TOKEN: usize = 4096;

/// The SHA-256 hash of a refresh token, in hexadecimal. The token itself is stored nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenHash(String);
impl TokenHash {
    /// Hashes a refresh token.
    ///
    /// # Errors
    /// Fails when the token is empty or too long.
    pub fn of(token: &str) -> Result<Self, AuthUserError> {
        if !(1..=LONGEST_TOKEN).contains(&token.len()) {
            return Err(AuthUserError::Token);
        }
        let hash = Sha256::digest(token.as_bytes());
        Ok(TokenHash(hash.iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })))
    }
}

/// A family of refresh tokens: each replaces the one before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) id: SessionId,
    /// The valid token; `None` when it was used up without a successor.
    pub(super) current: Option<TokenHash>,
    /// The tokens before, oldest first.
    pub(super) used: Vec<TokenHash>,
    pub(super) expires_at: Timestamp,
    /// The time at which the valid token was stored.
    pub(super) refreshed_at: Timestamp,
}

/// A session that can be refreshed, without its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSession {
    pub id: SessionId,
    pub expires_at: Timestamp,
    pub refreshed_at: Timestamp,
}

impl Session {
    /// Returns the session without its tokens, unless its last token was used up.
    pub(super) fn open(&self) -> Option<OpenSession> {
        let Session { id, expires_at, refreshed_at, .. } = *self;
        self.current.is_some().then_some(OpenSession { id, expires_at, refreshed_at })
    }
    pub(super) fn has(&self, token: &TokenHash) -> bool {
        self.current.as_ref() == Some(token) || self.used.contains(token)
    }
    /// Returns whether the token was replaced by this successor, which is the valid one.
    pub(super) fn has_replaced(&self, token: &TokenHash, next: &TokenHash) -> bool {
        self.used.last() == Some(token) && self.current.as_ref() == Some(next)
    }
    /// Marks the valid token as used.
    pub(super) fn use_up(&mut self, next: Option<TokenHash>) {
        self.used.extend(std::mem::replace(&mut self.current, next));
        let too_many = self.used.len().saturating_sub(USED_MOST);
        self.used.drain(..too_many);
    }
}

/// Returns whether a token may expire at this time: after now, and not too far ahead.
pub(super) fn may_expire_at(expires_at: Timestamp, now: Timestamp) -> bool {
    expires_at > now && expires_at <= now + LONGEST
}
