//! The query for the counsellors.
use super::Part;
use crate::{application::projections::CounselorProfile, domain::counselor::ToneId};
use cqrs_core::{HandlerResult, Infallible, Page, Query, Range, Views, handler};

/// Lists all counsellors, or those of one tone, oldest first.
#[derive(Debug, Clone, Query)]
pub struct FindCounselors {
    /// Only counsellors of this tone.
    pub tone: Option<ToneId>,
    pub part: Part,
}

#[handler]
async fn find_counselors(
    query: FindCounselors,
    counselors: Views<CounselorProfile>,
) -> HandlerResult<Page<CounselorProfile>, Infallible> {
    let range: Range<CounselorProfile> = match query.tone {
        None => CounselorProfile::all().into(),
        Some(tone) => CounselorProfile::by_tone().tone(tone).into(),
    };
    Ok(counselors.page(range, query.part.after.as_ref(), query.part.limit).await?)
}
