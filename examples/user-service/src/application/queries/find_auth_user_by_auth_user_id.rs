//! The query for credentials by their id.
use crate::{application::projections::AuthUserSummary, domain::auth_user::AuthUserId};
use cqrs_core::{Clock, HandlerResult, Infallible, Query, Views, handler};

/// Finds credentials.
#[derive(Debug, Clone, Query)]
pub struct FindAuthUserByAuthUserId {
    pub auth_user: AuthUserId,
}

#[handler]
async fn find_auth_user_by_auth_user_id(
    query: FindAuthUserByAuthUserId,
    auth_users: Views<AuthUserSummary>,
    clock: Clock,
) -> HandlerResult<AuthUserSummary, Infallible> {
    Ok(auth_users.get(&query.auth_user).await?.at(clock.now()))
}
