//! The query for the activations of versions.
use crate::{
    application::{projections::ActivationEntry, queries::Part},
    domain::prompt::PromptVersionId,
};
use cqrs_core::{HandlerResult, Infallible, Page, Query, Range, Views, handler};

/// Lists activations, newest first.
#[derive(Debug, Clone, Query)]
pub struct FindActivations {
    /// Only those of this version.
    pub version: Option<PromptVersionId>,
    pub part: Part,
}

#[handler]
async fn find_activations(
    query: FindActivations,
    activations: Views<ActivationEntry>,
) -> HandlerResult<Page<ActivationEntry>, Infallible> {
    let range: Range<ActivationEntry> = match query.version {
        None => ActivationEntry::newest().into(),
        Some(version) => ActivationEntry::by_version().version(version).into(),
    };
    Ok(activations.page(range, query.part.after.as_ref(), query.part.limit).await?)
}
