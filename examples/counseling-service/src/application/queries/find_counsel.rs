//! The query for one counsel of a person.
use crate::{
    application::{not_found, projections::CounselSummary},
    domain::counsel::{CounselId, UserId},
};
use cqrs_core::{HandlerResult, Infallible, Query, Views, handler};

/// Finds a counsel of this person.
#[derive(Debug, Clone, Query)]
pub struct FindCounselById {
    pub id: CounselId,
    pub user: UserId,
}

#[handler]
async fn find_counsel(
    query: FindCounselById,
    counsels: Views<CounselSummary>,
) -> HandlerResult<CounselSummary, Infallible> {
    let found = counsels.find(&query.id).await?.filter(|counsel| counsel.user == query.user);
    found.ok_or_else(|| not_found("counsel", query.id))
}
