//! The query for the prompts of tones.
use crate::{
    application::{projections::TonePromptEntry, queries::Part},
    domain::{counselor::ToneId, prompt::PromptVersionId},
};
use cqrs_core::{HandlerResult, Infallible, Page, Query, Range, Views, handler};

/// Lists the prompts of tones, oldest first.
#[derive(Debug, Clone, Query)]
pub struct FindTonePrompts {
    /// Only those of this version, which may be deleted.
    pub version: Option<PromptVersionId>,
    /// Only those of this tone.
    pub tone: Option<ToneId>,
    pub part: Part,
}

#[handler]
async fn find_tone_prompts(
    query: FindTonePrompts,
    prompts: Views<TonePromptEntry>,
) -> HandlerResult<Page<TonePromptEntry>, Infallible> {
    let range: Range<TonePromptEntry> = match (query.version, query.tone) {
        (None, None) => TonePromptEntry::all().deleted_at(None).into(),
        (None, Some(tone)) => TonePromptEntry::by_tone().deleted_at(None).tone(tone).into(),
        (Some(version), None) => TonePromptEntry::by_version().version(version).into(),
        (Some(version), Some(tone)) => TonePromptEntry::by_version_and_tone().version(version).tone(tone).into(),
    };
    Ok(prompts.page(range, query.part.after.as_ref(), query.part.limit).await?)
}
