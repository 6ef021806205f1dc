//! The query that returns the notice for a message that speaks of a crisis, in the manner of the counsellor.
use crate::{
    application::projections::{CounselorProfile, ToneSummary},
    domain::{
        counselor::CounselorId,
        crisis::{Notice, detect},
        manner::Manner,
    },
};
use cqrs_core::{HandlerResult, Infallible, Query, Views, handler};

/// Finds the notice for a person's message. A harmless message has none.
#[derive(Debug, Clone, Query)]
pub struct FindCrisisNotice {
    pub counselor: CounselorId,
    pub message: String,
}

#[handler]
async fn find_crisis_notice(
    query: FindCrisisNotice,
    counselors: Views<CounselorProfile>,
    tones: Views<ToneSummary>,
) -> HandlerResult<Option<Notice>, Infallible> {
    let Some(crisis) = detect(&query.message) else { return Ok(None) };
    let tone = match counselors.find(&query.counselor).await? {
        Some(counselor) => tones.find(&counselor.tone).await?,
        None => None,
    };
    let manner = tone.map_or(Manner::Polite, |tone| Manner::of(&format!("{} {}", tone.name, tone.description)));
    Ok(Some(crisis.notice(manner)))
}
