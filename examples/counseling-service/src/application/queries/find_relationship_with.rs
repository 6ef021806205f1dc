//! The query for the relationship of a person with a counsellor.
use crate::{
    application::{not_found, projections::RelationshipSummary},
    domain::{counsel::UserId, counselor::CounselorId, relationship::RelationshipId},
};
use cqrs_core::{HandlerResult, Infallible, Query, Views, handler};

/// Finds this person's relationship with a counsellor.
#[derive(Debug, Clone, Query)]
pub struct FindRelationshipWith {
    pub user: UserId,
    pub counselor: CounselorId,
}

#[handler]
async fn find_relationship_with(
    query: FindRelationshipWith,
    relationships: Views<RelationshipSummary>,
) -> HandlerResult<RelationshipSummary, Infallible> {
    let found = relationships.find(&RelationshipId::of(query.user, query.counselor)).await?;
    found.ok_or_else(|| not_found("relationship with counselor", query.counselor))
}
