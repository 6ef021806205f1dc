//! The command that changes a person's profile.
use crate::{
    application::projections::UserSummary,
    domain::user::{User, UserEdit, UserError, UserId},
};
use cqrs_core::{Clock, Command, HandlerResult, Repo, handler};
use serde::{Deserialize, Serialize};

/// Changes the given fields and keeps the others.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct UpdateUser {
    pub user: UserId,
    pub edit: UserEdit,
}

#[handler]
async fn update_user(command: UpdateUser, users: Repo<User>, clock: Clock) -> HandlerResult<UserSummary, UserError> {
    let user = users.update(&command.user, |user| user.update(command.edit, clock.now())).await?;
    Ok(UserSummary::of(&user))
}
