//! The command that begins a session with its first refresh token.
use crate::domain::{
    auth_user::{AuthUser, AuthUserError, AuthUserId, TokenHash},
    user::UserId,
};
use cqrs_core::{Clock, Command, HandlerResult, Repo, Timestamp, handler};
use serde::{Deserialize, Serialize};

/// Stores a refresh token as the first of a new session.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct SaveRefreshToken {
    pub user: UserId,
    pub token: TokenHash,
    pub expires_at: Timestamp,
}

#[handler]
async fn save_refresh_token(
    command: SaveRefreshToken,
    auth_users: Repo<AuthUser>,
    clock: Clock,
) -> HandlerResult<(), AuthUserError> {
    let SaveRefreshToken { user, token, expires_at } = command;
    let (session, now) = (clock.id().into(), clock.now());
    let start = |auth_user: &AuthUser| auth_user.start_session(session, token, expires_at, now);
    auth_users.update(&AuthUserId::of(user), start).await?;
    Ok(())
}
