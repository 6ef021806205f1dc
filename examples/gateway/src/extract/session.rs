//! The caller of a request: from the access token of the `Authorization` header or, without one, of the cookie.
use crate::{access_token::Claims, error::Error, extract::Call, http::Gateway};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};
use axum_extra::extract::CookieJar;
use std::ops::Deref;
use uuid::Uuid;

/// The name of the cookie with the access token.
pub(crate) const ACCESS_TOKEN: &str = "accessToken";

/// An authenticated person. It derefs to the [`Call`] on their behalf.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) claims: Claims,
    call: Call,
}
impl Caller {
    pub(crate) fn id(&self) -> Uuid {
        self.claims.id
    }
}
impl Deref for Caller {
    type Target = Call;
    fn deref(&self) -> &Call {
        &self.call
    }
}

impl FromRequestParts<Gateway> for Caller {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Error> {
        let token = token(&parts.headers).ok_or_else(Error::no_token)?;
        let claims = gateway.tokens().check(&token)?;
        let Ok(call) = Call::from_request_parts(parts, gateway).await;
        Ok(Caller { call: call.of(claims.person().ok_or_else(Error::bad_token)?), claims })
    }
}

/// Returns the token. The bearer token wins over the cookie even when it is invalid, because the client chose it.
fn token(headers: &HeaderMap) -> Option<String> {
    let bearer =
        headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| value.split_once(' '));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let cookie = || CookieJar::from_headers(headers).get(ACCESS_TOKEN).map(|cookie| cookie.value().to_owned());
    bearer.map(|(_, token)| token.trim().to_owned()).or_else(cookie)
}
