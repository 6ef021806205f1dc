//! The relationships of a person, for `CounselService`.
use super::{
    mapping::{each, text},
    part,
};
use crate::application::{
    projections::RelationshipSummary,
    queries::{FindRelationshipById, FindRelationshipWith, FindRelationships},
};
use contracts::{
    iso,
    v1::{model, service as rpc},
};
use cqrs_core::Page;
use service_edge::{Call, Endpoint, RpcResult, parse::id};
use tonic::Request;

pub(super) async fn by_id(
    endpoint: &Endpoint,
    request: Request<rpc::FindCounselorUserRelationshipByIdRequest>,
) -> RpcResult<rpc::FindCounselorUserRelationshipByIdResponse> {
    let (call, message) = Call::read(request)?;
    let query = FindRelationshipById { id: id("relationship_id", &message.relationship_id)?, user: call.person()? };
    let respond = |found: RelationshipSummary| rpc::FindCounselorUserRelationshipByIdResponse {
        counselor_user_relationship: Some(found.into()),
    };
    endpoint.send(call, query, respond).await
}

pub(super) async fn by_pair(
    endpoint: &Endpoint,
    request: Request<rpc::FindCounselorUserRelationshipByUserAndCounselorIdRequest>,
) -> RpcResult<rpc::FindCounselorUserRelationshipByUserAndCounselorIdResponse> {
    let (call, message) = Call::read(request)?;
    let (user, counselor) = (call.acts_for(&message.user_id)?, id("counselor_id", &message.counselor_id)?);
    let respond = |found: RelationshipSummary| rpc::FindCounselorUserRelationshipByUserAndCounselorIdResponse {
        counselor_user_relationship: Some(found.into()),
    };
    endpoint.send(call, FindRelationshipWith { user, counselor }, respond).await
}

pub(super) async fn list(
    endpoint: &Endpoint,
    request: Request<rpc::FindCounselorUserRelationshipsRequest>,
) -> RpcResult<rpc::FindCounselorUserRelationshipsResponse> {
    let (call, message) = Call::read(request)?;
    let user = call.acts_for(&message.user_id)?;
    let query = FindRelationships { user, part: part(message.after.as_deref(), message.limit)? };
    let respond = |page: Page<_>| rpc::FindCounselorUserRelationshipsResponse {
        counselor_user_relationships: each(page.items),
        next: text(page.next),
    };
    endpoint.send(call, query, respond).await
}

impl From<RelationshipSummary> for model::CounselorUserRelationship {
    fn from(relationship: RelationshipSummary) -> Self {
        model::CounselorUserRelationship {
            id: relationship.id.to_string(),
            counselor_id: relationship.counselor.to_string(),
            user_id: relationship.user.to_string(),
            rapport: relationship.rapport.try_into().unwrap_or(i32::MAX),
            created_at: iso(relationship.created_at),
            updated_at: iso(relationship.updated_at),
            deleted_at: None,
        }
    }
}
