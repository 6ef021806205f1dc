//! The endpoint of the first visit: registers a person and issues an access token.
use crate::{
    access_token::{Claims, LIFETIME},
    envelope::{Success, ok},
    error::Error,
    extract::{ACCESS_TOKEN, Call, Caller, IdempotencyKey, cookie},
    http::Gateway,
    upstream::Users,
};
use axum::extract::State;
use axum_extra::extract::CookieJar;
use chrono::{DateTime, SecondsFormat};
use contracts::v1::service as rpc;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

const ACCESS_TOKEN_EXPIRES_AT: &str = "accessTokenExpiresAt";

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(initiate))
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Session {
    access_token: String,
    access_token_expires_at: String,
}

/// Renews the token of a known person, or registers a new person.
///
/// It accepts no idempotency key: a caller who repeated the key would get another person's token.
#[utoipa::path(post, path = "/v1/auth/initiate", security(()), responses((status = 200, body = Session)))]
async fn initiate(
    State(gateway): State<Gateway>,
    call: Call,
    caller: Result<Caller, Error>,
) -> Result<(CookieJar, Success<Session>), Error> {
    let claims = match caller {
        Ok(caller) => renew(&caller).await?,
        Err(_) => None,
    };
    let claims = match claims {
        Some(claims) => claims,
        None => register(&gateway, &call).await?,
    };
    let token = gateway.tokens().sign(&claims)?;
    let expires_at = DateTime::from_timestamp(claims.exp, 0).unwrap_or_default();
    let expires_at = expires_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let jar = CookieJar::new().add(cookie(ACCESS_TOKEN, token.clone(), LIFETIME, call.secure())).add(cookie(
        ACCESS_TOKEN_EXPIRES_AT,
        expires_at.clone(),
        LIFETIME,
        call.secure(),
    ));
    let session = Session { access_token: token, access_token_expires_at: expires_at };
    Ok((jar, ok("세션이 시작되었습니다.", session)))
}

/// Renews the claims of a person that exists. Only an unknown id leads to a new person; after an outage the person
/// must keep
/// their identity.
async fn renew(caller: &Caller) -> Result<Option<Claims>, Error> {
    let request = rpc::FindUserByUserIdRequest { user_id: caller.id().to_string() };
    match caller.users(Users::find_user_by_user_id, request).await {
        Ok(found) => Ok(found.user.map(|_| caller.claims.renewed())),
        Err(error) if error.is_unknown_id() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn register(gateway: &Gateway, call: &Call) -> Result<Claims, Error> {
    let call = call.keyed(&IdempotencyKey::made());
    let made = gateway.upstream().users.ask(&call, Users::initialize_user, rpc::InitializeUserRequest {}).await?;
    let id = made.user.and_then(|user| Uuid::try_parse(&user.id).ok()).ok_or_else(Error::broken)?;
    let auth = made.auth_user.ok_or_else(Error::broken)?;
    Ok(Claims::access(id, auth.auth_channel().as_str_name(), auth.authority().as_str_name()))
}
