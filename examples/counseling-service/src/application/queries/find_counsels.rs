//! The query for a person's counsels.
use super::Part;
use crate::{
    application::projections::CounselSummary,
    domain::{counsel::UserId, counselor::CounselorId},
};
use cqrs_core::{HandlerResult, Infallible, Page, Query, Range, Views, handler};

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
    let range: Range<CounselSummary> = match query.counselor {
        None => CounselSummary::by_user().user(query.user).into(),
        Some(counselor) => CounselSummary::by_user_and_counselor().user(query.user).counselor(counselor).into(),
    };
    Ok(counsels.page(range, query.part.after.as_ref(), query.part.limit).await?)
}
