//! The query for the person with a nickname.
use crate::{
    application::{not_found, projections::UserSummary},
    domain::user::Nickname,
};
use cqrs_core::{HandlerResult, Infallible, Query, Views, handler};

/// Finds the person with this nickname, regardless of case.
#[derive(Debug, Clone, Query)]
pub struct FindUserByNickname {
    pub nickname: Nickname,
}

#[handler]
async fn find_user_by_nickname(
    query: FindUserByNickname,
    users: Views<UserSummary>,
) -> HandlerResult<UserSummary, Infallible> {
    let range = UserSummary::by_nickname().nickname_key(query.nickname.key());
    let found = users.page(range, None, 1).await?.items.pop();
    found.ok_or_else(|| not_found("user", "with this nickname"))
}
