//! The query for the prompts of counsellors.
use crate::{
    application::{projections::PersonaPromptEntry, queries::Part},
    domain::{counselor::CounselorId, prompt::PromptVersionId},
};
use cqrs_core::{HandlerResult, Infallible, Page, Query, Range, Views, handler};

/// Lists the prompts of counsellors, oldest first.
#[derive(Debug, Clone, Query)]
pub struct FindPersonaPrompts {
    /// Only those of this version, which may be deleted.
    pub version: Option<PromptVersionId>,
    /// Only those of this counsellor.
    pub counselor: Option<CounselorId>,
    pub part: Part,
}

#[handler]
async fn find_persona_prompts(
    query: FindPersonaPrompts,
    prompts: Views<PersonaPromptEntry>,
) -> HandlerResult<Page<PersonaPromptEntry>, Infallible> {
    let range: Range<PersonaPromptEntry> = match (query.version, query.counselor) {
        (None, None) => PersonaPromptEntry::all().deleted_at(None).into(),
        (None, Some(counselor)) => PersonaPromptEntry::by_counselor().deleted_at(None).counselor(counselor).into(),
        (Some(version), None) => PersonaPromptEntry::by_version().version(version).into(),
        (Some(version), Some(counselor)) => {
            PersonaPromptEntry::by_version_and_counselor().version(version).counselor(counselor).into()
        }
    };
    Ok(prompts.page(range, query.part.after.as_ref(), query.part.limit).await?)
}
