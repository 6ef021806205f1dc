//! The query for one prompt of a counsellor.
use crate::{
    application::{not_found, projections::PersonaPromptEntry},
    domain::prompt::PersonaPromptId,
};
use cqrs_core::{HandlerResult, Infallible, Query, Views, handler};

/// Finds a counsellor's prompt, also one of a deleted version.
#[derive(Debug, Clone, Query)]
pub struct FindPersonaPromptById {
    pub id: PersonaPromptId,
}

#[handler]
async fn find_persona_prompt(
    query: FindPersonaPromptById,
    prompts: Views<PersonaPromptEntry>,
) -> HandlerResult<PersonaPromptEntry, Infallible> {
    prompts.find(&query.id).await?.ok_or_else(|| not_found("persona-prompt", query.id))
}
