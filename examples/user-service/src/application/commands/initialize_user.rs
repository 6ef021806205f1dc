//! The command that registers a person on the first visit.
use crate::{
    application::projections::{AuthUserSummary, UserSummary},
    domain::{
        auth_user::{AuthUser, AuthUserId},
        user::{Nickname, User, UserError, UserId},
        wallet::Wallet,
    },
};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Registers a person with their credentials and their wallet, in one commit. It accepts no idempotency key: a caller who
/// repeated the key would get the identity of that person.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct InitializeUser;

/// The registered person and their credentials.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InitializeUserResult {
    pub user: UserSummary,
    pub auth_user: AuthUserSummary,
}

#[handler]
async fn initialize_user(
    _: InitializeUser,
    users: Repo<User>,
    auth_users: Repo<AuthUser>,
    wallets: Repo<Wallet>,
    clock: Clock,
) -> HandlerResult<InitializeUserResult, UserError> {
    // The last bits of a UUIDv7 are random.
    let nickname = Nickname::generated(clock.id().as_u128() as u32);
    let (id, now) = (UserId::from(clock.id()), clock.now());
    let user = users.create(id, User::register(nickname, now))?;
    let auth_user = auth_users.create(AuthUserId::of(id), AuthUser::unlinked(now))?;
    wallets.create(id, Wallet::open(now))?;
    Ok(InitializeUserResult { user: UserSummary::of(&user), auth_user: AuthUserSummary::of(&auth_user, now) })
}
