//! The query for the version of new counsels.
use crate::application::{not_found, projections::VersionSummary};
use cqrs_core::{HandlerResult, Infallible, Query, Views, handler};

/// Finds the version of new counsels. It makes none.
#[derive(Debug, Clone, Query)]
pub struct FindActiveVersion {}

#[handler]
async fn find_active_version(
    _query: FindActiveVersion,
    versions: Views<VersionSummary>,
) -> HandlerResult<VersionSummary, Infallible> {
    let found = versions.page(VersionSummary::by_active().active(true), None, 1).await?.items;
    found.into_iter().next().ok_or_else(|| not_found("prompt-version", "active"))
}
