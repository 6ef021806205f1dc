//! The query for one relationship by its id.
use crate::{
    application::{not_found, projections::RelationshipSummary},
    domain::{counsel::UserId, relationship::RelationshipId},
};
use cqrs_core::{HandlerResult, Infallible, Query, Views, handler};

/// Finds a relationship of this person.
#[derive(Debug, Clone, Query)]
pub struct FindRelationshipById {
    pub id: RelationshipId,
    pub user: UserId,
}

#[handler]
async fn find_relationship(
    query: FindRelationshipById,
    relationships: Views<RelationshipSummary>,
) -> HandlerResult<RelationshipSummary, Infallible> {
    let found = relationships.find(&query.id).await?.filter(|relationship| relationship.user == query.user);
    found.ok_or_else(|| not_found("relationship", query.id))
}
