//! The command that registers a person on the first visit.
use crate::{
    application::projections::UserSummary,
    domain::{
        auth_user::AuthUser,
        user::{Nickname, User, UserError},
    },
};
use cqrs_core::{Aggregate, Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Registers a person and their credentials. It accepts no idempotency key: a caller who repeated the key would get the
/// identity of that person.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct InitializeUser;

/// The registered person and their credentials.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InitializeUserResult {
    pub user: UserSummary,
    pub auth_user: AuthUser,
}

#[handler]
async fn initialize_user(
    _: InitializeUser,
    users: Repo<User>,
    auth_users: Repo<AuthUser>,
    clock: Clock,
) -> HandlerResult<InitializeUserResult, UserError> {
    // The last bits of a UUIDv7 are random.
    let nickname = Nickname::generated(clock.id().as_u128() as u32);
    let user = users.create(clock.id().into(), User::register(nickname, clock.now()))?;
    let auth_user = auth_users.create(clock.id().into(), AuthUser::unlinked(*user.id(), clock.now()))?;
    Ok(InitializeUserResult { user: UserSummary::of(&user), auth_user })
}
