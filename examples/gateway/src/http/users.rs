//! The endpoints of the caller's own profile.
use crate::{
    envelope::{Answer, ok},
    error::Error,
    extract::{Caller, IdempotencyKey, Json},
    http::Gateway,
    json::{MessageTokens, User, UserUpdate},
    upstream::Users,
};
use axum::{Router, routing};
use contracts::v1::service as rpc;
use serde::Serialize;

pub(super) fn routes() -> Router<Gateway> {
    Router::new().route("/v1/users/me", routing::get(me).put(update))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Me {
    user: User,
    message_tokens: Option<MessageTokens>,
}

async fn me(caller: Caller) -> Answer<Me> {
    let user_id = caller.id().to_string();
    let person = rpc::FindUserByUserIdRequest { user_id: user_id.clone() };
    let wallet = rpc::CheckRemainingTokensRequest { user_id };
    let (person, wallet) = tokio::try_join!(
        caller.users(Users::find_user_by_user_id, person),
        caller.users(Users::check_remaining_tokens, wallet)
    )?;
    let user = person.user.ok_or_else(Error::unknown_id)?;
    Ok(ok("유저 정보를 조회했습니다.", Me { user: user.into(), message_tokens: Some(wallet.into()) }))
}

async fn update(caller: Caller, key: IdempotencyKey, Json(update): Json<UserUpdate>) -> Answer<Me> {
    let request = update.of(caller.id())?;
    let updated = caller.keyed(&key).users(Users::update_user, request).await?;
    let user = updated.user.ok_or_else(Error::broken)?;
    Ok(ok("유저 정보를 수정했습니다.", Me { user: user.into(), message_tokens: None }))
}
