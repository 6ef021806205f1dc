//! The query for the credentials that are linked to an account.
use crate::{
    application::{not_found, projections::AuthUserSummary},
    domain::auth_user::Account,
};
use cqrs_core::{Clock, HandlerResult, Infallible, Query, Views, handler};

/// Finds the credentials that are linked to an account. It never creates any.
#[derive(Debug, Clone, Query)]
pub struct FindAuthUserByChannelInfo {
    pub account: Account,
}

#[handler]
async fn find_auth_user_by_channel_info(
    query: FindAuthUserByChannelInfo,
    auth_users: Views<AuthUserSummary>,
    clock: Clock,
) -> HandlerResult<AuthUserSummary, Infallible> {
    let range = AuthUserSummary::by_account().account(Some(query.account));
    let found = auth_users.page(range, None, 1).await?.items.pop();
    // The message does not repeat the id of the account, which is personal.
    Ok(found.ok_or_else(|| not_found("auth-user", "of this account"))?.at(clock.now()))
}
