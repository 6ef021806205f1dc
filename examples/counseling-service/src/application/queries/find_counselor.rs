//! The query for one counsellor.
use crate::{
    application::{not_found, projections::CounselorProfile},
    domain::counselor::CounselorId,
};
use cqrs_core::{HandlerResult, Infallible, Query, Views, handler};

/// Finds a counsellor.
#[derive(Debug, Clone, Query)]
pub struct FindCounselorById {
    pub id: CounselorId,
}

#[handler]
async fn find_counselor(
    query: FindCounselorById,
    counselors: Views<CounselorProfile>,
) -> HandlerResult<CounselorProfile, Infallible> {
    counselors.find(&query.id).await?.ok_or_else(|| not_found("counselor", query.id))
}
