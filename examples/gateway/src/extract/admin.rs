//! The administrators' part of the API: a middleware that refuses everybody else.
use crate::{error::Error, extract::Caller, http::Gateway, security_log};
use axum::{
    extract::{FromRequestParts, Request, State},
    http::request::Parts,
    middleware::Next,
    response::Response,
};
use std::convert::Infallible;

/// Marks a request to the administrators' part.
#[derive(Clone, Copy)]
struct ForAdmins;

/// The middleware of every route under `/v1/admin`. The services check the authority too.
pub(crate) async fn require_admin(
    State(gateway): State<Gateway>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let (mut parts, body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, &gateway).await?;
    if !caller.is_admin() {
        security_log::refused(&caller, "endpoint for administrators", Some(caller.id()));
        return Err(Error::no_administrator());
    }
    parts.extensions.insert(ForAdmins);
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// Whether drafts are shown: only in the administrators' part.
pub(crate) struct WithDrafts(pub(crate) bool);
impl<S: Sync> FromRequestParts<S> for WithDrafts {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(WithDrafts(parts.extensions.get::<ForAdmins>().is_some()))
    }
}
