//! The endpoints of the caller's own profile, consents, tracking and activities.
use crate::{
    envelope::{Answer, created, ok},
    extract::{Caller, IdempotencyKey, Json, Page, Params},
    http::Gateway,
    json::{
        ConsentKind, Consents, Me, NewActivity, NewConsent, OneActivity, OneConsent, OneTracking, RelationshipPage,
        TrackingUpdate, UserUpdate, changed, each, found,
    },
    upstream::{Counsels, Users},
};
use axum::http::{HeaderMap, header::USER_AGENT};
use contracts::{CONSENT_TEXT_VERSION, v1::service as rpc};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(me, update))
        .routes(routes!(consents, consent, withdraw))
        .routes(routes!(tracking, track))
        .routes(routes!(record))
        .routes(routes!(relationships))
}

/// Reads the caller's profile and the balance of their tokens.
#[utoipa::path(get, path = "/v1/users/me", responses((status = 200, body = Me)))]
async fn me(caller: Caller) -> Answer<Me> {
    let user_id = caller.id().to_string();
    let person = rpc::FindUserByUserIdRequest { user_id: user_id.clone() };
    let wallet = rpc::CheckRemainingTokensRequest { user_id };
    let (person, wallet) = tokio::try_join!(
        caller.users(Users::find_user_by_user_id, person),
        caller.users(Users::check_remaining_tokens, wallet)
    )?;
    Ok(ok("유저 정보를 조회했습니다.", Me { user: found(person.user)?, message_tokens: Some(wallet.into()) }))
}

/// Changes the caller's profile.
#[utoipa::path(put, path = "/v1/users/me", responses((status = 200, body = Me)))]
async fn update(caller: Caller, key: IdempotencyKey, Json(update): Json<UserUpdate>) -> Answer<Me> {
    let request = update.of(caller.id())?;
    let updated = caller.keyed(&key).users(Users::update_user, request).await;
    let updated = updated.map_err(|error| error.renaming("birthday", "birthYear"))?;
    Ok(ok("유저 정보를 수정했습니다.", Me { user: changed(updated.user)?, message_tokens: None }))
}

/// Lists the caller's consents, and the version of the text that needs one.
#[utoipa::path(get, path = "/v1/users/me/consents", responses((status = 200, body = Consents)))]
async fn consents(caller: Caller) -> Answer<Consents> {
    let found = caller.counsels(Counsels::find_consents, rpc::FindConsentsRequest {}).await?;
    Ok(ok("동의 내역을 조회했습니다.", Consents { consents: each(found.consents), text_version: CONSENT_TEXT_VERSION }))
}

/// Gives a consent, which is required before the first message.
#[utoipa::path(post, path = "/v1/users/me/consents", responses((status = 201, body = OneConsent)))]
async fn consent(caller: Caller, key: IdempotencyKey, Json(new): Json<NewConsent>) -> Answer<OneConsent> {
    let given = caller.keyed(&key).counsels(Counsels::give_consent, new.into()).await?;
    Ok(created("동의를 기록했습니다.", changed(given.consent)?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OfKind {
    kind: ConsentKind,
}
/// Withdraws a consent. Messages are refused from then on.
#[utoipa::path(delete, path = "/v1/users/me/consents", params(OfKind), responses((status = 200, body = OneConsent)))]
async fn withdraw(caller: Caller, key: IdempotencyKey, Params(of): Params<OfKind>) -> Answer<OneConsent> {
    let request = rpc::WithdrawConsentRequest { kind: of.kind.into() };
    let withdrawn = caller.keyed(&key).counsels(Counsels::withdraw_consent, request).await?;
    Ok(ok("동의를 철회했습니다.", changed(withdrawn.consent)?))
}

/// Reads which parts of the app the caller has seen.
#[utoipa::path(get, path = "/v1/users/me/tracking", responses((status = 200, body = OneTracking)))]
async fn tracking(caller: Caller) -> Answer<OneTracking> {
    let request = rpc::FindTrackingByUserIdRequest { user_id: caller.id().to_string() };
    let seen = caller.users(Users::find_tracking_by_user_id, request).await?;
    Ok(ok("유저 트래킹을 조회했습니다.", found(seen.user_tracking)?))
}

/// Records which parts of the app the caller has seen.
#[utoipa::path(put, path = "/v1/users/me/tracking", responses((status = 200, body = OneTracking)))]
async fn track(caller: Caller, key: IdempotencyKey, Json(update): Json<TrackingUpdate>) -> Answer<OneTracking> {
    let (user_id, has_seen_intro_cutscene) = (caller.id().to_string(), update.has_seen_intro_cutscene);
    let request = rpc::UpdateTrackingRequest { user_id, has_seen_intro_cutscene };
    let updated = caller.keyed(&key).users(Users::update_tracking, request).await?;
    Ok(ok("유저 트래킹을 수정했습니다.", changed(updated.user_tracking)?))
}

/// Records an activity of the caller.
#[utoipa::path(post, path = "/v1/users/me/activities", responses((status = 201, body = OneActivity)))]
async fn record(
    caller: Caller,
    key: IdempotencyKey,
    headers: HeaderMap,
    Json(new): Json<NewActivity>,
) -> Answer<OneActivity> {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let request = new.of(agent.chars().take(LONGEST_AGENT).collect())?;
    let recorded = caller.keyed(&key).users(Users::create_activity, request).await?;
    Ok(created("유저 활동을 기록했습니다.", changed(recorded.user_activity)?))
}
/// The recorded part of a browser's name; the rest says nothing that a statistic needs.
const LONGEST_AGENT: usize = 256;

/// Lists the caller's relationships with all counsellors, newest first.
#[utoipa::path(get, path = "/v1/users/me/relationships", params(Page), responses((status = 200, body = RelationshipPage)))]
async fn relationships(caller: Caller, Params(page): Params<Page>) -> Answer<RelationshipPage> {
    let Page { after, limit } = page.check()?;
    let request = rpc::FindCounselorUserRelationshipsRequest { user_id: caller.id().to_string(), after, limit };
    let found = caller.counsels(Counsels::find_counselor_user_relationships, request).await?;
    Ok(ok("관계 목록을 조회했습니다.", found.into()))
}
