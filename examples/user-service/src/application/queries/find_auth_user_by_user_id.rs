//! The query for the credentials of a person.
use crate::{
    application::projections::AuthUserSummary,
    domain::{auth_user::AuthUserId, user::UserId},
};
use cqrs_core::{Clock, HandlerResult, Infallible, Query, Views, handler};

/// Finds the credentials of a person.
#[derive(Debug, Clone, Query)]
pub struct FindAuthUserByUserId {
    pub user: UserId,
}

#[handler]
async fn find_auth_user_by_user_id(
    query: FindAuthUserByUserId,
    auth_users: Views<AuthUserSummary>,
    clock: Clock,
) -> HandlerResult<AuthUserSummary, Infallible> {
    Ok(auth_users.get(&AuthUserId::of(query.user)).await?.at(clock.now()))
}
