//! The query for a person's profile.
use crate::{application::projections::UserSummary, domain::user::UserId};
use cqrs_core::{HandlerResult, Infallible, Query, Views, handler};

/// Finds a person's profile.
#[derive(Debug, Clone, Query)]
pub struct FindUserByUserId {
    pub user: UserId,
}

#[handler]
async fn find_user_by_user_id(
    query: FindUserByUserId,
    users: Views<UserSummary>,
) -> HandlerResult<UserSummary, Infallible> {
    users.get(&query.user).await
}
