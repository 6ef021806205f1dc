//! The query for a person's profile.
use crate::{application::projections::UserSummary, domain::user::UserId};
use cqrs_core::{Error, HandlerResult, Infallible, Query, Views, handler};

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
    let found = users.get(&query.user).await?;
    found.ok_or_else(|| Error::NotFound { kind: "user", id: query.user.to_string() })
}
