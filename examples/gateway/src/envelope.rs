//! `{message, data, timestamp}`: the shape of every answer that went well. Its twin is in `error.rs`.
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Value, json};

/// An answer that went well.
pub(crate) struct Success<T> {
    status: StatusCode,
    message: &'static str,
    data: T,
}
/// What is asked for is there, or done.
pub(crate) fn ok<T: Serialize>(message: &'static str, data: T) -> Success<T> {
    Success { status: StatusCode::OK, message, data }
}
/// Something new is there.
pub(crate) fn created<T: Serialize>(message: &'static str, data: T) -> Success<T> {
    Success { status: StatusCode::CREATED, message, data }
}
impl<T: Serialize> IntoResponse for Success<T> {
    fn into_response(self) -> Response {
        let data = serde_json::to_value(self.data).expect("an answer has text keys and plain values");
        let body = json!({ "message": self.message, "data": data, "timestamp": timestamp() });
        (self.status, Json(without_nulls(body))).into_response()
    }
}

/// Here and not on each field, so that no answer can forget it.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let told = fields.into_iter().filter(|(_, value)| !value.is_null());
            told.map(|(name, value)| (name, without_nulls(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        plain => plain,
    }
}

/// Now, in UTC, as every envelope says it.
pub(crate) fn timestamp() -> String {
    chrono::Utc::now().format("%Y-%m-%d %H:%M:%S").to_string()
}
