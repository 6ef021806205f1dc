//! A JSON body. An absent body counts as an empty object, because all its fields may be optional.
use crate::error::Error;
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
};
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::timeout;

/// The time in which a body must arrive.
const PATIENCE: Duration = Duration::from_secs(15);

/// A body of this type; an invalid body becomes an error with the gateway's envelope that names the field.
pub(crate) struct Json<T>(pub(crate) T);
impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Error;
    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        // A form of another site can be empty, so its type counts also without a body.
        let kind = kind(request.headers());
        let body = body(request, state).await?;
        if kind == Kind::Other || (kind == Kind::Absent && !body.is_empty()) {
            return Err(Error::not_json());
        }
        let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
        // serde reads the fields of a struct from a list too.
        if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(Error::invalid("body: a JSON object"));
        }
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

/// Reads a whole body.
///
/// # Errors
/// Fails when it is too large, and when it does not arrive in time.
pub(crate) async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Error> {
    let body = timeout(PATIENCE, Bytes::from_request(request, state)).await.map_err(|_| Error::body_timeout())?;
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::too_large(),
        _ => Error::body_timeout(), // when the connection breaks, the client gets no response anyway
    })
}

#[derive(PartialEq, Eq)]
enum Kind {
    Json,
    Other,
    Absent,
}
/// Returns the content type. Forms of other sites cannot send `application/json` without a CORS preflight.
fn kind(headers: &HeaderMap) -> Kind {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Kind::Absent };
    let kind = value.to_str().ok().and_then(|value| value.split(';').next());
    let is_json = kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if is_json { Kind::Json } else { Kind::Other }
}
