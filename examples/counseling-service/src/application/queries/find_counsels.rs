//! The query for a person's counsels.
use super::Part;
use crate::{
    application::projections::CounselSummary,
    domain::{counsel::UserId, counselor::CounselorId},
};
use cqrs_core::{HandlerResult, Infallible, Page, Query, Views, handler};

/// Lists a person's counsels, newest first.
#[derive(Debug, Clone, Query)]
pub struct FindCounsels {
    pub user: UserId,
    /// Only counsels with this counsellor.
    pub counselor: Option<CounselorId>,
    pub part: Part,
}

#[handler]
async fn find_counsels(
    query: FindCounsels,
    counsels: Views<CounselSummary>,
) -> HandlerResult<Page<CounselSummary>, Infallible> {
    let range = match query.counselor {
        None => CounselSummary::by_user(&query.user),
        Some(counselor) => CounselSummary::with(query.user, counselor),
    };
    Ok(counsels.page(range, query.part.after.as_ref(), query.part.limit).await?)
}
