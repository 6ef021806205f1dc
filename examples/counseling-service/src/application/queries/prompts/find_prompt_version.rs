//! The query for one version.
use crate::{
    application::{not_found, projections::VersionSummary},
    domain::prompt::PromptVersionId,
};
use cqrs_core::{HandlerResult, Infallible, Query, Views, handler};

/// Finds a version, also a deleted one.
#[derive(Debug, Clone, Query)]
pub struct FindPromptVersionById {
    pub id: PromptVersionId,
}

#[handler]
async fn find_prompt_version(
    query: FindPromptVersionById,
    versions: Views<VersionSummary>,
) -> HandlerResult<VersionSummary, Infallible> {
    versions.find(&query.id).await?.ok_or_else(|| not_found("prompt-version", query.id))
}
