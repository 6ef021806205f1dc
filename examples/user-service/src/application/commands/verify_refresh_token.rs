//! The command that uses up a refresh token.
use super::known;
use crate::domain::{
    auth_user::{AuthUser, AuthUserError, AuthUserId, TokenHash},
    user::UserId,
};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Uses up a refresh token. A token that was used before ends its session: that is committed, so it is an output and
/// not an error.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct VerifyRefreshToken {
    pub user: UserId,
    pub token: TokenHash,
}

/// The use of a refresh token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TokenUse<T> {
    /// The token was valid.
    Valid(T),
    /// The token was used before, and its session has ended.
    Reused,
}

#[handler]
async fn verify_refresh_token(
    command: VerifyRefreshToken,
    auth_users: Repo<AuthUser>,
    clock: Clock,
) -> HandlerResult<TokenUse<()>, AuthUserError> {
    let VerifyRefreshToken { user, token } = command;
    let used = auth_users.update(&AuthUserId::of(user), |auth_user| auth_user.use_token(&token, clock.now())).await;
    Ok(if known(used)?.knows(&token) { TokenUse::Valid(()) } else { TokenUse::Reused })
}
