//! The first visit, refresh and logout. None accepts the client's idempotency key: a caller who repeated one would get another
//! caller's tokens.
use crate::{
    envelope::{Success, ok},
    error::Error,
    extract::{Call, Caller, Session, SessionForm},
    http::Gateway,
    security_log,
    session::{Issued, SessionBody, Sessions, no_cookies, person},
    tokens::Refresh,
};
use axum::extract::State;
use axum_extra::extract::CookieJar;

/// A session and its cookies.
type Started = Result<(CookieJar, Success<SessionBody>), Error>;

/// Renews the session of a known person, or registers a new person.
///
/// An access token is replaced by one with the current permissions and the same expiry. Without one, the refresh token is used.
/// The tokens are cookies; with the header `X-Session: bearer` they are in the body. A token that is refused is never replaced by a new
/// person, whose cookies would overwrite those of the old one.
#[utoipa::path(
    post, path = "/v1/auth/initiate", security(()), params(("X-Session" = Option<String>, Header)),
    responses((status = 200, body = SessionBody))
)]
pub(super) async fn initiate(
    State(gateway): State<Gateway>,
    call: Call,
    session: Session,
    form: SessionForm,
) -> Started {
    let sessions = Sessions::new(&gateway, &call);
    let issued = match (session.sent_access()?, session.refresh_cookie(&gateway)?) {
        (Some(access), Some((_, refresh))) if access.claims.id != refresh.claims.id => return Err(Error::bad_token()),
        (Some(access), _) => sessions.renew(access).await?,
        (None, Some((token, refresh))) => sessions.rotate(token, &refresh).await?.1,
        (None, None) => first_visit(&call, sessions).await?,
    };
    let (jar, body) = issued.for_client(form, call.cookies());
    Ok((jar, ok("세션이 시작되었습니다.", body)))
}

async fn first_visit(call: &Call, sessions: Sessions<'_>) -> Result<Issued, Error> {
    let auth = sessions.register().await?;
    security_log::session(call, "first visit", person(&auth)?);
    sessions.begin(&auth).await
}

/// Replaces both tokens of a session.
///
/// The refresh token is in the cookie, or in the `Authorization` header.
#[utoipa::path(
    post, path = "/v1/auth/refresh", params(("X-Session" = Option<String>, Header)),
    responses((status = 200, body = SessionBody))
)]
pub(super) async fn refresh(
    State(gateway): State<Gateway>,
    call: Call,
    session: Session,
    form: SessionForm,
) -> Started {
    let token = session.refresh_token()?.ok_or_else(Error::refresh_token_required)?;
    let verified = gateway.tokens().check::<Refresh>(&token).map_err(Error::refresh_token)?;
    let (_, issued) = Sessions::new(&gateway, &call).rotate(token, &verified).await?;
    let (jar, body) = issued.for_client(form, call.cookies());
    Ok((jar, ok("세션을 갱신했습니다.", body)))
}

/// Ends the session of this device.
///
/// Its cookies are removed, also when their tokens are refused. The access token stays valid until
/// its expiry, at most an hour.
#[utoipa::path(post, path = "/v1/auth/logout", security(()), responses((status = 200)))]
pub(super) async fn logout(
    State(gateway): State<Gateway>,
    call: Call,
    session: Session,
) -> Result<(CookieJar, Success<()>), Error> {
    let token = session.refresh_token().ok().flatten();
    let verified = token.and_then(|token| Some((gateway.tokens().check_expired::<Refresh>(&token).ok()?, token)));
    match verified {
        Some((verified, token)) => {
            let id = verified.claims.id;
            Sessions::new(&gateway, &call).end(id, Some(token)).await?;
            // Those of the person's other devices connect again.
            gateway.streams().end(id);
            security_log::session(&call, "logout", id);
        }
        // A client that keeps its tokens itself must learn that nothing was ended.
        None if session.is_bearer() => return Err(Error::refresh_token(crate::tokens::TokenError::Invalid)),
        None => {}
    }
    Ok((no_cookies(call.cookies()), ok("로그아웃했습니다.", ())))
}

/// Ends all sessions of the caller.
#[utoipa::path(post, path = "/v1/auth/logout-all", responses((status = 200)))]
pub(super) async fn logout_all(
    State(gateway): State<Gateway>,
    call: Call,
    caller: Caller,
) -> Result<(CookieJar, Success<()>), Error> {
    Sessions::new(&gateway, &call).end(caller.id(), None).await?;
    gateway.streams().end(caller.id());
    security_log::session(&call, "logout of all devices", caller.id());
    Ok((no_cookies(call.cookies()), ok("모든 기기에서 로그아웃했습니다.", ())))
}
