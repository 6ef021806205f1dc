//! Somebody says who they are.
use crate::{
    application::projections::UserCard,
    domain::user::{User, UserEdit, UserError, UserId},
};
use cqrs_core::{Clock, Command, Repo, Result, handler};
use serde::{Deserialize, Serialize};

/// Changes what is asked for and leaves the rest.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
#[allow(missing_docs, reason = "the types say it")]
pub struct UpdateUser {
    pub user: UserId,
    pub edit: UserEdit,
}

#[handler]
async fn update_user(command: UpdateUser, users: Repo<User>, clock: Clock) -> Result<UserCard, UserError> {
    let user = users.update(&command.user, |user| user.update(command.edit, clock.now())).await?;
    Ok(UserCard::of(&user))
}
