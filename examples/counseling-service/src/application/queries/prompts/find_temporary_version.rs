//! The query for the version that can be edited.
use crate::application::{not_found, projections::VersionSummary};
use cqrs_core::{HandlerResult, Infallible, Query, Views, handler};

/// Finds the version that can be edited. It makes none.
#[derive(Debug, Clone, Query)]
pub struct FindTemporaryVersion {}

#[handler]
async fn find_temporary_version(
    _query: FindTemporaryVersion,
    versions: Views<VersionSummary>,
) -> HandlerResult<VersionSummary, Infallible> {
    let found = versions.page(VersionSummary::by_temporary().temporary(true), None, 1).await?.items;
    found.into_iter().next().ok_or_else(|| not_found("prompt-version", "temporary"))
}
