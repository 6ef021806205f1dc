//! The command that ends sessions.
use crate::domain::{
    auth_user::{AuthUser, AuthUserError, AuthUserId, TokenHash},
    user::UserId,
};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Ends the session of a token, which may be a used one, or all sessions of a person. A token without a session changes
/// nothing.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct RevokeRefreshTokens {
    pub user: UserId,
    /// A token of the session; all sessions end when absent.
    pub token: Option<TokenHash>,
}

#[handler]
async fn revoke_refresh_tokens(
    command: RevokeRefreshTokens,
    auth_users: Repo<AuthUser>,
    clock: Clock,
) -> HandlerResult<(), AuthUserError> {
    let RevokeRefreshTokens { user, token } = command;
    let revoke = |auth_user: &AuthUser| Ok(auth_user.revoke(token.as_ref(), clock.now()));
    auth_users.update(&AuthUserId::of(user), revoke).await?;
    Ok(())
}
