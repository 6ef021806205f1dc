//! The query for one prompt of a tone.
use crate::{
    application::{not_found, projections::TonePromptEntry},
    domain::prompt::TonePromptId,
};
use cqrs_core::{HandlerResult, Infallible, Query, Views, handler};

/// Finds a tone's prompt, also one of a deleted version.
#[derive(Debug, Clone, Query)]
pub struct FindTonePromptById {
    pub id: TonePromptId,
}

#[handler]
async fn find_tone_prompt(
    query: FindTonePromptById,
    prompts: Views<TonePromptEntry>,
) -> HandlerResult<TonePromptEntry, Infallible> {
    prompts.find(&query.id).await?.ok_or_else(|| not_found("tone-prompt", query.id))
}
