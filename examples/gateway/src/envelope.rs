//! The envelope of a successful response: `{message, data, timestamp}`. The envelope of errors is in `error.rs`.
use crate::error::Error;
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::Value;

/// The return type of an endpoint.
pub(crate) type Answer<T> = Result<Success<T>, Error>;

/// A successful response.
pub(crate) struct Success<T> {
    status: StatusCode,
    message: &'static str,
    data: T,
}
/// Builds a response with status 200.
pub(crate) fn ok<T: Serialize>(message: &'static str, data: T) -> Success<T> {
    Success { status: StatusCode::OK, message, data }
}
/// Builds a response with status 201.
pub(crate) fn created<T: Serialize>(message: &'static str, data: T) -> Success<T> {
    Success { status: StatusCode::CREATED, message, data }
}
/// The body. The fields are in the order in which they are sent.
#[derive(Serialize)]
struct Body {
    #[serde(skip_serializing_if = "Value::is_null")]
    data: Value,
    message: &'static str,
    timestamp: String,
}
impl<T: Serialize> IntoResponse for Success<T> {
    fn into_response(self) -> Response {
        let data = serde_json::to_value(self.data).expect("a response has text keys and plain values");
        let body = Body { data: without_nulls(data), message: self.message, timestamp: timestamp() };
        (self.status, Json(body)).into_response()
    }
}

/// Removes nulls from the data, so that no field needs an attribute for it.
pub(crate) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let present = fields.into_iter().filter(|(_, value)| !value.is_null());
            present.map(|(name, value)| (name, without_nulls(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        plain => plain,
    }
}

/// Formats the current time in UTC for an envelope.
pub(crate) fn timestamp() -> String {
    chrono::Utc::now().format("%Y-%m-%d %H:%M:%S").to_string()
}
