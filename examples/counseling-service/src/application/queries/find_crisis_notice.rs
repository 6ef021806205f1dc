//! The query that returns the notice for a crisis in the language of the person and the manner of the counsellor.
use crate::{
    application::projections::{CounselorProfile, ToneSummary},
    domain::{
        counselor::CounselorId,
        crisis::{Crisis, Language, Notice},
        manner::Manner,
    },
};
use cqrs_core::{HandlerResult, Infallible, Query, Views, handler};

/// Finds the notice for a crisis in a counsel with this counsellor.
#[derive(Debug, Clone, Query)]
pub struct FindCrisisNotice {
    pub crisis: Crisis,
    pub counselor: CounselorId,
    pub language: Language,
}

#[handler]
async fn find_crisis_notice(
    query: FindCrisisNotice,
    counselors: Views<CounselorProfile>,
    tones: Views<ToneSummary>,
) -> HandlerResult<Notice, Infallible> {
    let tone = match counselors.find(&query.counselor).await? {
        Some(counselor) => tones.find(&counselor.tone).await?,
        None => None,
    };
    let manner = tone.map_or(Manner::Polite, |tone| Manner::of(&format!("{} {}", tone.name, tone.description)));
    Ok(query.crisis.notice(query.language, manner))
}
