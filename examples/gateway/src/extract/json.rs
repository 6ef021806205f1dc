//! A JSON body. No body is an empty object: what may be left out may all be left out.
use crate::error::Error;
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, header::CONTENT_TYPE},
};
use serde::de::DeserializeOwned;

/// A body of this type; what is wrong with it is said with our own envelope.
pub(crate) struct Json<T>(pub(crate) T);
impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Error;
    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let is_json = is_json(request.headers());
        let body = Bytes::from_request(request, state).await;
        // A body that breaks off has nobody left to be answered, so the limit is the only reason that matters.
        let body = body.map_err(|_| Error::too_large())?;
        if !body.is_empty() && !is_json {
            return Err(Error::not_json());
        }
        let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
        serde_json::from_slice(body).map(Json).map_err(|error| Error::invalid(format!("body: {error}")))
    }
}

/// `application/json`, with or without parameters. Forms of other sites cannot send it unasked.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).and_then(|it| it.split(';').next());
    kind.is_some_and(|it| it.trim().eq_ignore_ascii_case("application/json"))
}
