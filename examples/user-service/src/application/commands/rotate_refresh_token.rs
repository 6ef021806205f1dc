//! The command that replaces a refresh token by its successor.
use super::{TokenUse, known};
use crate::{
    application::projections::AuthUserSummary,
    domain::{
        auth_user::{AuthUser, AuthUserError, AuthUserId, TokenHash},
        user::UserId,
    },
};
use cqrs_core::{Clock, Command, HandlerResult, Repo, Timestamp, handler};
use serde::{Deserialize, Serialize};

/// Replaces a refresh token by its successor. A token that was replaced before ends its session: that is committed, so it
/// is an output and not an error.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct RotateRefreshToken {
    pub user: UserId,
    pub token: TokenHash,
    pub next: TokenHash,
    pub expires_at: Timestamp,
}

#[handler]
async fn rotate_refresh_token(
    command: RotateRefreshToken,
    auth_users: Repo<AuthUser>,
    clock: Clock,
) -> HandlerResult<TokenUse<AuthUserSummary>, AuthUserError> {
    let (RotateRefreshToken { user, token, next, expires_at }, now) = (command, clock.now());
    let rotate = |auth_user: &AuthUser| auth_user.rotate_token(&token, next, expires_at, now);
    let rotated = known(auth_users.update(&AuthUserId::of(user), rotate).await)?;
    Ok(match rotated.knows(&token) {
        true => TokenUse::Valid(AuthUserSummary::of(&rotated, now)),
        false => TokenUse::Reused,
    })
}
