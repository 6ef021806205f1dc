//! The endpoints of the caller's own profile.
use crate::{
    envelope::{Success, ok},
    error::Error,
    extract::{Caller, IdempotencyKey, Json},
    http::Gateway,
    json::{MessageTokens, User, UserUpdate},
};
use axum::extract::State;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Me {
    user: User,
    message_tokens: Option<MessageTokens>,
}

pub(super) async fn me(State(gateway): State<Gateway>, caller: Caller) -> Result<Success<Me>, Error> {
    let users = &gateway.upstream().users;
    let (user, wallet) = tokio::try_join!(users.find(&caller, caller.id()), users.wallet(&caller, caller.id()))?;
    Ok(ok("유저 정보를 조회했습니다.", Me { user: user.into(), message_tokens: Some(wallet.into()) }))
}

pub(super) async fn update(
    State(gateway): State<Gateway>,
    caller: Caller,
    key: IdempotencyKey,
    Json(update): Json<UserUpdate>,
) -> Result<Success<Me>, Error> {
    let request = update.of(caller.id())?;
    let user = gateway.upstream().users.update(&caller.keyed(&key), request).await?;
    Ok(ok("유저 정보를 수정했습니다.", Me { user: user.into(), message_tokens: None }))
}
