//! The session of a request: tokens of the `Authorization` header or, without one, of the cookies.
use super::cookies::{ACCESS_TOKEN, Cookies, REFRESH_TOKEN};
use crate::{
    error::Error,
    extract::{Call, IdempotencyKey},
    http::Gateway,
    tokens::{Access, Refresh, Verified},
    upstream::{Counselors, Counsels, Prompts, Users},
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};
use contracts::v1::model::Authority;
use service_auth::Person;
use std::{convert::Infallible, ops::Deref, time::Duration};
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// The header with which a client chooses the form of its session.
const SESSION: &str = "x-session";

/// The tokens of a request, as they were sent.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// The token of the `Authorization` header. It wins over the cookies even when it is invalid, because the client chose it.
    bearer: Option<String>,
    refresh: Result<Option<String>, Error>,
    /// The access token's content; absent when none was sent.
    verified: Option<Result<Verified<Access>, Error>>,
}
impl Session {
    pub(crate) fn read(gateway: &Gateway, headers: &HeaderMap, cookies: Cookies) -> Self {
        let bearer = bearer(headers).map(str::to_owned);
        let (access, refresh) = (cookies.read(headers, ACCESS_TOKEN), cookies.read(headers, REFRESH_TOKEN));
        let verify = |token: &str| gateway.tokens().check::<Access>(token).map_err(Error::access_token);
        let verified = match (&bearer, &access) {
            (Some(token), _) | (None, Ok(Some(token))) => Some(verify(token)),
            (None, Ok(None)) => None,
            (None, Err(twice)) => Some(Err(twice.clone())),
        };
        let verified = verified
            .map(|read| read.and_then(|token| token.claims.person().map(|_| token).ok_or_else(Error::bad_token)));
        Session { bearer, refresh, verified }
    }
    /// Returns the person of the access token, or why there is none.
    pub(crate) fn access(&self) -> Result<&Verified<Access>, Error> {
        match (&self.verified, &self.refresh) {
            (Some(verified), _) => verified.as_ref().map_err(Error::clone),
            (None, Ok(Some(_))) => Err(Error::access_token_required()),
            (None, _) => Err(Error::no_token()),
        }
    }
    /// Returns the access token's content, `None` when no access token was sent, or why the token is refused.
    pub(crate) fn sent_access(&self) -> Result<Option<&Verified<Access>>, Error> {
        self.verified.as_ref().map(Result::as_ref).transpose().map_err(Error::clone)
    }
    /// Returns the refresh token of the cookie, or of the `Authorization` header in place of an access token.
    pub(crate) fn refresh_token(&self) -> Result<Option<String>, Error> {
        if self.bearer.is_some() { Ok(self.bearer.clone()) } else { self.refresh.clone() }
    }
    /// Returns the refresh token of the cookie with its content, `None` when there is none, or why it is refused. A client
    /// with an `Authorization` header uses no cookies.
    pub(crate) fn refresh_cookie(&self, gateway: &Gateway) -> Result<Option<(String, Verified<Refresh>)>, Error> {
        if self.bearer.is_some() {
            return Ok(None);
        }
        let Some(token) = self.refresh.clone()? else { return Ok(None) };
        let verified = gateway.tokens().check::<Refresh>(&token).map_err(Error::refresh_token)?;
        Ok(Some((token, verified)))
    }
    /// Returns whether the session is one of cookies, valid or not.
    pub(crate) fn has_cookies(&self) -> bool {
        self.bearer.is_none() && (self.verified.is_some() || !matches!(self.refresh, Ok(None)))
    }
    /// Returns whether the client sends its token itself, so that no other site can send it.
    pub(crate) fn is_bearer(&self) -> bool {
        self.bearer.is_some()
    }
}
/// The middleware reads the session of each request.
impl FromRequestParts<Gateway> for Session {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Infallible> {
        if let Some(session) = parts.extensions.get::<Session>() {
            return Ok(session.clone());
        }
        let Ok(call) = Call::from_request_parts(parts, gateway).await;
        Ok(Session::read(gateway, &parts.headers, call.cookies()))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The form in which a client wants its tokens: as cookies, or in the body when it sends them itself (`X-Session: bearer`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionForm {
    Cookies,
    Bearer,
}
impl<S: Sync> FromRequestParts<S> for SessionForm {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let wanted = parts.headers.get(SESSION).map(|value| value.as_bytes().to_ascii_lowercase());
        match wanted.as_deref() {
            Some(b"bearer") => Ok(SessionForm::Bearer),
            Some(b"cookie") => Ok(SessionForm::Cookies),
            Some(_) => Err(Error::invalid("X-Session: bearer or cookie")),
            None if bearer(&parts.headers).is_some() => Ok(SessionForm::Bearer),
            None => Ok(SessionForm::Cookies),
        }
    }
}

/// An authenticated person. It derefs to the [`Call`] on their behalf.
#[derive(Clone)]
pub(crate) struct Caller {
    person: Person,
    /// The expiry of the access token, in Unix seconds.
    expires: i64,
    call: Call,
    gateway: Gateway,
}
impl Caller {
    pub(crate) fn id(&self) -> Uuid {
        self.person.id
    }
    /// Returns the time until the access token expires.
    pub(crate) fn session_left(&self) -> Duration {
        let seconds = self.expires.saturating_sub(chrono::Utc::now().timestamp());
        Duration::from_secs(seconds.try_into().unwrap_or_default())
    }
    /// Returns whether the person is an administrator.
    pub(crate) fn is_admin(&self) -> bool {
        self.person.authority == Authority::Admin
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
    /// Calls a method of the counseling service that streams its responses, on this person's behalf.
    pub(crate) async fn streams<Q, A>(
        &self,
        method: impl AsyncFnOnce(&mut Counsels, Request<Q>) -> Result<Response<A>, Status>,
        message: Q,
    ) -> Result<A, Error> {
        self.gateway.upstream().streams.ask(self, method, message).await
    }
    /// Reads a counsel on this person's behalf from the query side of the counseling service. The service itself answers when
    /// there is no query side, when it is unavailable, and when it does not know the counsel: a client that sends no
    /// consistency token may ask for a counsel that it has just opened.
    pub(crate) async fn counsel_queries<Q: Clone, A>(
        &self,
        method: impl AsyncFnOnce(&mut Counsels, Request<Q>) -> Result<Response<A>, Status> + Copy,
        message: Q,
    ) -> Result<A, Error> {
        let upstream = self.gateway.upstream();
        let Some(queries) = &upstream.counsel_queries else {
            return upstream.counsels.ask(self, method, message).await;
        };
        let unread = match queries.ask(self, method, message.clone()).await {
            Err(error) if error.is_outage() || error.is_absence() => error,
            answered => return answered,
        };
        match upstream.counsels.ask(self, method, message).await {
            Err(error) if error.is_outage() => Err(unread),
            answered => answered,
        }
    }
    /// Calls the counseling service for a counsel on this person's behalf, and waits for a counsellor's reply.
    pub(crate) async fn replies<Q, A>(
        &self,
        method: impl AsyncFnOnce(&mut Counsels, Request<Q>) -> Result<Response<A>, Status>,
        message: Q,
    ) -> Result<A, Error> {
        self.gateway.upstream().replies.ask(self, method, message).await.map_err(Error::of_reply)
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
        let Ok(session) = Session::from_request_parts(parts, gateway).await;
        let access = session.access()?;
        let (person, expires) = (access.claims.person().ok_or_else(Error::bad_token)?, access.expires);
        let Ok(call) = Call::from_request_parts(parts, gateway).await;
        Ok(Caller { person, expires, call: call.of(person), gateway: gateway.clone() })
    }
}
