//! Somebody comes for the first time.
use crate::{
    application::projections::UserCard,
    domain::{
        auth_user::AuthUser,
        user::{Nickname, User, UserError},
    },
};
use cqrs_core::{Aggregate, Clock, Command, Repo, Result, handler};
use serde::{Deserialize, Serialize};

/// Makes a person and their credentials. It takes no idempotency key: whoever repeated it would become that person.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct InitializeUser;

/// Who came.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the types say it")]
pub struct Initialized {
    pub user: UserCard,
    pub auth_user: AuthUser,
}

#[handler]
async fn initialize_user(
    _: InitializeUser,
    users: Repo<User>,
    auth_users: Repo<AuthUser>,
    clock: Clock,
) -> Result<Initialized, UserError> {
    // A UUIDv7 ends in random bits.
    let nickname = Nickname::generated(clock.id().as_u128() as u32);
    let user = users.create(User::register(clock.id().into(), nickname, clock.now()))?;
    let auth_user = auth_users.create(AuthUser::unlinked(clock.id().into(), *user.id(), clock.now()))?;
    Ok(Initialized { user: UserCard::of(&user), auth_user })
}
