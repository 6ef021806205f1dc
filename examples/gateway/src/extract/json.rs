//! A JSON body. An absent body counts as an empty object, because all its fields may be optional.
use crate::error::Error;
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, header::CONTENT_TYPE},
};
use serde::de::DeserializeOwned;

/// A body of this type; an invalid body becomes an error with the gateway's envelope that names the field.
pub(crate) struct Json<T>(pub(crate) T);
impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Error;
    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let is_json = is_json(request.headers());
        let body = Bytes::from_request(request, state).await;
        // When the connection breaks, the client gets no response anyway, so the limit is the only cause that matters.
        let body = body.map_err(|_| Error::too_large())?;
        if !body.is_empty() && !is_json {
            return Err(Error::not_json());
        }
        let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
        let mut json = serde_json::Deserializer::from_slice(body);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            let field = if path == "." { "body" } else { &path }; // a dot stands for the whole body
            Error::invalid(format!("{field}: {}", error.inner()))
        })?;
        json.end().map_err(|error| Error::invalid(format!("body: {error}")))?;
        Ok(Json(value))
    }
}

/// Returns whether the content type is `application/json`. Forms of other sites cannot send it without a CORS
/// preflight.
fn is_json(headers: &HeaderMap) -> bool {
    let kind =
        headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(|value| value.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}
