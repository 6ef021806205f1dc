//! The command that changes the permissions of a person.
use crate::{
    application::projections::AuthUserSummary,
    domain::{
        auth_user::{AuthUser, AuthUserError, AuthUserId, Authority, AuthoritySource},
        wallet::Wallet,
    },
};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Changes the permissions of a person, and their tokens with them, in one commit. The configuration takes back no
/// permissions that an operator has given: the result shows those that the person has.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct UpdateAuthority {
    pub auth_user: AuthUserId,
    pub authority: Authority,
    pub source: AuthoritySource,
}

#[handler]
async fn update_authority(
    command: UpdateAuthority,
    auth_users: Repo<AuthUser>,
    wallets: Repo<Wallet>,
    clock: Clock,
) -> HandlerResult<AuthUserSummary, AuthUserError> {
    let (UpdateAuthority { auth_user: id, authority, source }, now) = (command, clock.now());
    let changed = auth_users.update(&id, |auth_user| Ok(auth_user.change_authority(authority, source, now))).await?;
    let tokens = |wallet: &Wallet| match changed.authority() {
        Authority::Admin => wallet.promote(now),
        Authority::User => wallet.demote(changed.is_linked(), now),
    };
    wallets.update(&id.user(), |wallet| Ok(tokens(wallet))).await?;
    Ok(AuthUserSummary::of(&changed, now))
}
