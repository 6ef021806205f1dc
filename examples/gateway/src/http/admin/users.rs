//! The administrators' look at a person.
use crate::{
    envelope::{Answer, ok},
    extract::{Caller, Ids},
    http::Gateway,
    json::{OneAdminUser, found},
    upstream::Users,
};
use contracts::v1::service as rpc;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(one))
}

/// Reads any person.
#[utoipa::path(get, path = "/users/{userId}", responses((status = 200, body = OneAdminUser)))]
async fn one(caller: Caller, Ids(user): Ids<Uuid>) -> Answer<OneAdminUser> {
    let request = rpc::FindUserByUserIdRequest { user_id: user.to_string() };
    let read = caller.users(Users::find_user_by_user_id, request).await?;
    Ok(ok("유저 정보를 조회했습니다.", found(read.user)?))
}
