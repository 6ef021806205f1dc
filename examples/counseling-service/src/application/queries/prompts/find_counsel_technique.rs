//! The query for one technique.
use crate::{
    application::{not_found, projections::TechniqueEntry},
    domain::prompt::TechniqueId,
};
use cqrs_core::{HandlerResult, Infallible, Query, Views, handler};

/// Finds a technique, also one of a deleted version.
#[derive(Debug, Clone, Query)]
pub struct FindCounselTechniqueById {
    pub id: TechniqueId,
}

#[handler]
async fn find_counsel_technique(
    query: FindCounselTechniqueById,
    techniques: Views<TechniqueEntry>,
) -> HandlerResult<TechniqueEntry, Infallible> {
    techniques.find(&query.id).await?.ok_or_else(|| not_found("counsel-technique", query.id))
}
