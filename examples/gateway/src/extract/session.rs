//! The caller of a request: from the access token of the `Authorization` header or, without one, of the cookie.
use crate::{
    access_token::Claims,
    error::Error,
    extract::{Call, IdempotencyKey},
    http::Gateway,
    upstream::{Counselors, Counsels, Prompts, Users},
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};
use axum_extra::extract::CookieJar;
use std::ops::Deref;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// The name of the cookie with the access token.
pub(crate) const ACCESS_TOKEN: &str = "accessToken";

/// An authenticated person. It derefs to the [`Call`] on their behalf.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) claims: Claims,
    call: Call,
    gateway: Gateway,
}
impl Caller {
    pub(crate) fn id(&self) -> Uuid {
        self.claims.id
    }
    /// Calls the user service on this person's behalf.
    pub(crate) async fn users<Q, A>(
        &self,
        method: impl AsyncFnOnce(&mut Users, Request<Q>) -> Result<Response<A>, Status>,
        message: Q,
    ) -> Result<A, Error> {
        self.gateway.upstream().users.ask(self, method, message).await
    }
    /// Calls the counseling service for a counsel on this person's behalf.
    pub(crate) async fn counsels<Q, A>(
        &self,
        method: impl AsyncFnOnce(&mut Counsels, Request<Q>) -> Result<Response<A>, Status>,
        message: Q,
    ) -> Result<A, Error> {
        self.gateway.upstream().counsels.ask(self, method, message).await
    }
    /// Calls the counseling service for a counsel on this person's behalf, and waits for a counsellor's reply.
    pub(crate) async fn replies<Q, A>(
        &self,
        method: impl AsyncFnOnce(&mut Counsels, Request<Q>) -> Result<Response<A>, Status>,
        message: Q,
    ) -> Result<A, Error> {
        self.gateway.upstream().replies.ask(self, method, message).await
    }
    /// Calls the counseling service for counsellors, bubbles and tones on this person's behalf.
    pub(crate) async fn counselors<Q, A>(
        &self,
        method: impl AsyncFnOnce(&mut Counselors, Request<Q>) -> Result<Response<A>, Status>,
        message: Q,
    ) -> Result<A, Error> {
        self.gateway.upstream().counselors.ask(self, method, message).await
    }
    /// Calls the counseling service for prompts on this person's behalf.
    pub(crate) async fn prompts<Q, A>(
        &self,
        method: impl AsyncFnOnce(&mut Prompts, Request<Q>) -> Result<Response<A>, Status>,
        message: Q,
    ) -> Result<A, Error> {
        self.gateway.upstream().prompts.ask(self, method, message).await
    }
    /// Returns the caller with an idempotency key.
    pub(crate) fn keyed(&self, key: &IdempotencyKey) -> Self {
        Caller { call: self.call.keyed(key), ..self.clone() }
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
        let call = call.of(claims.person().ok_or_else(Error::bad_token)?);
        Ok(Caller { claims, call, gateway: gateway.clone() })
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
