//! The query for a person's relationships.
use super::Part;
use crate::{application::projections::RelationshipSummary, domain::counsel::UserId};
use cqrs_core::{HandlerResult, Infallible, Page, Query, Views, handler};

/// Lists a person's relationships, newest first.
#[derive(Debug, Clone, Query)]
pub struct FindRelationships {
    pub user: UserId,
    pub part: Part,
}

#[handler]
async fn find_relationships(
    query: FindRelationships,
    relationships: Views<RelationshipSummary>,
) -> HandlerResult<Page<RelationshipSummary>, Infallible> {
    let range = RelationshipSummary::by_user().user(query.user);
    Ok(relationships.page(range, query.part.after.as_ref(), query.part.limit).await?)
}
