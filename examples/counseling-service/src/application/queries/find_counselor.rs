//! One counsellor.
use crate::{
    application::{not_found, projections::CounselorCard},
    domain::counselor::CounselorId,
};
use cqrs_core::{Never, Query, Result, Views, handler};

/// A counsellor.
#[derive(Debug, Clone, Query)]
pub struct FindCounselorById {
    /// Which.
    pub id: CounselorId,
}

#[handler]
async fn find_counselor(query: FindCounselorById, counselors: Views<CounselorCard>) -> Result<CounselorCard, Never> {
    counselors.get(&query.id).await?.ok_or_else(|| not_found("counselor", query.id))
}
