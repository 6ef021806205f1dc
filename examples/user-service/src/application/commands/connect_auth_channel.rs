//! The command that links a person to an account of an OAuth provider.
use crate::{
    application::projections::AuthUserSummary,
    domain::{
        auth_user::{Account, AuthUser, AuthUserError, AuthUserId},
        user::UserId,
        wallet::Wallet,
    },
};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Links a person to an account and raises their tokens, in one commit. Only the commit can tell that the account is
/// somebody else's.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct ConnectAuthChannel {
    pub user: UserId,
    pub account: Account,
}

#[handler]
async fn connect_auth_channel(
    command: ConnectAuthChannel,
    auth_users: Repo<AuthUser>,
    wallets: Repo<Wallet>,
    clock: Clock,
) -> HandlerResult<AuthUserSummary, AuthUserError> {
    let ConnectAuthChannel { user, account } = command;
    let (link, now) = (clock.id().into(), clock.now());
    let auth_user = auth_users.update(&AuthUserId::of(user), |auth_user| auth_user.link(link, account, now)).await?;
    wallets.update(&user, |wallet| Ok(wallet.link(now))).await?;
    Ok(AuthUserSummary::of(&auth_user, now))
}
