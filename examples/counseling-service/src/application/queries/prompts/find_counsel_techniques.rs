//! The query for the techniques.
use crate::{
    application::{projections::TechniqueEntry, queries::Part},
    domain::{counselor::ToneId, prompt::PromptVersionId},
};
use cqrs_core::{HandlerResult, Infallible, Page, Query, Range, Views, handler};

/// Lists techniques, oldest first.
#[derive(Debug, Clone, Query)]
pub struct FindCounselTechniques {
    /// Only those of this version, which may be deleted.
    pub version: Option<PromptVersionId>,
    /// Only those of this tone.
    pub tone: Option<ToneId>,
    pub part: Part,
}

#[handler]
async fn find_counsel_techniques(
    query: FindCounselTechniques,
    techniques: Views<TechniqueEntry>,
) -> HandlerResult<Page<TechniqueEntry>, Infallible> {
    let range: Range<TechniqueEntry> = match (query.version, query.tone) {
        (None, None) => TechniqueEntry::all().deleted_at(None).into(),
        (None, Some(tone)) => TechniqueEntry::by_tone().deleted_at(None).tone(tone).into(),
        (Some(version), None) => TechniqueEntry::by_version().version(version).into(),
        (Some(version), Some(tone)) => TechniqueEntry::by_version_and_tone().version(version).tone(tone).into(),
    };
    Ok(techniques.page(range, query.part.after.as_ref(), query.part.limit).await?)
}
