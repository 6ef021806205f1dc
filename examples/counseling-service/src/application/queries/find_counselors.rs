//! Whom one can talk to.
use super::Part;
use crate::{application::projections::CounselorCard, domain::counselor::ToneId};
use cqrs_core::{Never, Page, Query, Result, Views, handler};

/// The counsellors, or those of one tone, in the order in which they came.
#[derive(Debug, Clone, Query)]
pub struct FindCounselors {
    /// Of which tone.
    pub tone: Option<ToneId>,
    /// Which part.
    pub part: Part,
}

#[handler]
async fn find_counselors(
    query: FindCounselors,
    counselors: Views<CounselorCard>,
) -> Result<Page<CounselorCard>, Never> {
    let range = query.tone.as_ref().map_or_else(CounselorCard::all, CounselorCard::by_tone);
    Ok(counselors.page(range, query.part.after.as_ref(), query.part.limit).await?)
}
