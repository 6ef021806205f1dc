//! Errors as HTTP responses: the gateway's own errors, and the mapping of the services' status codes.
use crate::envelope::timestamp;
use axum::{
    Json,
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use contracts::NO_REMAINING_TOKENS;
use cqrs_core::grpc;
use serde::Serialize;
use service_auth::Refused;
use std::{error::Error as _, time::Duration};
use tonic::{Code, Status};

/// An error response with its own envelope.
#[derive(Debug)]
pub(crate) struct Error {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
    details: Vec<String>,
    retry_after: Option<Duration>,
    /// True when a service refused the gateway's own proof, which is a fault of the configuration.
    unauthenticated: bool,
}

// The gateway's own errors; their code is a name.
impl Error {
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        let details = vec![detail.into()];
        Error {
            details, ..Error::new(StatusCode::BAD_REQUEST, "HTTP_INVALID_INPUT", "입력값이 올바르지 않습니다.")
        }
    }
    pub(crate) fn no_such_path() -> Self {
        Error::new(StatusCode::NOT_FOUND, "HTTP_NOT_FOUND", "요청한 주소를 찾을 수 없습니다.")
    }
    pub(crate) fn wrong_method() -> Self {
        let message = "허용되지 않은 요청 방식입니다.";
        Error::new(StatusCode::METHOD_NOT_ALLOWED, "HTTP_METHOD_NOT_ALLOWED", message)
    }
    pub(crate) fn too_large() -> Self {
        Error::new(StatusCode::PAYLOAD_TOO_LARGE, "HTTP_PAYLOAD_TOO_LARGE", "요청 본문이 너무 큽니다.")
    }
    pub(crate) fn not_json() -> Self {
        let message = "요청 본문은 application/json이어야 합니다.";
        Error::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "HTTP_UNSUPPORTED_MEDIA_TYPE", message)
    }
    pub(crate) fn no_token() -> Self {
        Error::new(StatusCode::UNAUTHORIZED, "COOKIE_NOT_FOUND", "로그인 정보가 없습니다.")
    }
    pub(crate) fn bad_token() -> Self {
        Error::new(StatusCode::UNAUTHORIZED, "ACCESS_TOKEN_INVALID", "유효하지 않은 접근 토큰입니다.")
    }
    pub(crate) fn expired_token() -> Self {
        Error::new(StatusCode::UNAUTHORIZED, "ACCESS_TOKEN_EXPIRED", "접근 토큰이 만료되었습니다.")
    }
    /// The error of an unknown id. It is the same for the gateway and the services, so that it reveals nothing about
    /// other
    /// people's data.
    pub(crate) fn unknown_id() -> Self {
        Error::of(Code::NotFound)
    }
    /// The error of a response that lacks a required field.
    pub(crate) fn broken() -> Self {
        Error::of(Code::Internal)
    }
    pub(crate) fn deadline() -> Self {
        Error::of(Code::DeadlineExceeded)
    }
    /// The error of unreachable services.
    pub(crate) fn down(details: Vec<String>) -> Self {
        Error { details, ..Error::of(Code::Unavailable) }
    }
    /// Removes the advice to try again.
    pub(crate) fn without_retry(self) -> Self {
        Error { retry_after: None, ..self }
    }
    /// Returns whether a service refused the request, so that nothing of it goes on.
    pub(crate) fn is_refusal(&self) -> bool {
        self.status.is_client_error()
    }
    pub(crate) fn is_unknown_id(&self) -> bool {
        self.code == "E40401"
    }

    /// Returns whether the service was unreachable or refused the gateway's proof.
    pub(crate) fn is_outage(&self) -> bool {
        self.unauthenticated || matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
    }

    fn new(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        let retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(Duration::from_secs(1));
        Error { status, code, message, details: Vec::new(), retry_after, unauthenticated: false }
    }
    /// Maps a status code of a service.
    fn of(code: Code) -> Self {
        let (status, code, message) = match code {
            Code::InvalidArgument => (StatusCode::BAD_REQUEST, "E40001", "입력값이 올바르지 않습니다."),
            Code::FailedPrecondition => (StatusCode::BAD_REQUEST, "E40002", "지금은 처리할 수 없는 요청입니다."),
            Code::OutOfRange => (StatusCode::BAD_REQUEST, "E40003", "허용 범위를 벗어난 값입니다."),
            Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "E40101", "인증이 필요합니다."),
            Code::PermissionDenied => (StatusCode::FORBIDDEN, "E40301", "접근 권한이 없습니다."),
            Code::NotFound => (StatusCode::NOT_FOUND, "E40401", "요청한 대상을 찾을 수 없습니다."),
            Code::AlreadyExists => (StatusCode::CONFLICT, "E40901", "이미 존재하거나 이미 사용된 값입니다."),
            Code::Aborted => (StatusCode::CONFLICT, "E40902", "다른 요청과 충돌했습니다. 다시 시도해 주세요."),
            Code::ResourceExhausted => {
                (StatusCode::TOO_MANY_REQUESTS, "E42901", "요청이 너무 많습니다. 잠시 후 다시 시도해 주세요.")
            }
            Code::Unimplemented => (StatusCode::NOT_IMPLEMENTED, "E50101", "아직 지원하지 않는 기능입니다."),
            Code::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "E50301",
                "서비스를 잠시 사용할 수 없습니다. 잠시 후 다시 시도해 주세요.",
            ),
            // tonic reports a passed deadline as CANCELLED on both sides.
            Code::DeadlineExceeded | Code::Cancelled => {
                (StatusCode::GATEWAY_TIMEOUT, "E50401", "응답이 지연되고 있습니다. 잠시 후 다시 시도해 주세요.")
            }
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => {
                (StatusCode::INTERNAL_SERVER_ERROR, "E50001", "서버 내부 오류가 발생했습니다.")
            }
        };
        Error::new(status, code, message)
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let details = grpc::details(&status);
        if Refused::is_reported_by(&status) {
            tracing::error!(
                message = status.message(),
                "gateway: a service refused the gateway's proof; check that the internal secret and the certificates match"
            );
            return Error { unauthenticated: true, ..Error::of(Code::Internal) };
        }
        if details.reason.as_deref() == Some(NO_REMAINING_TOKENS) {
            return Error::new(StatusCode::FORBIDDEN, NO_REMAINING_TOKENS, "남은 메시지 토큰이 없습니다.");
        }
        let mut error = Error::of(if is_broken_connection(&status) { Code::Unavailable } else { status.code() });
        if error.status.is_server_error() {
            tracing::warn!(code = ?status.code(), message = status.message(), "gateway: a call to a service failed");
        } else if details.fields.is_empty() && explains(status.code()) {
            error.details.push(status.message().to_owned());
        }
        error.details.extend(details.fields.iter().map(|(field, accepted)| format!("{}: {accepted}", in_json(field))));
        error.retry_after = details.retry_after.or(error.retry_after);
        error
    }
}

/// Returns whether a connection broke during a call. tonic reports it as UNKNOWN or INTERNAL with a source; the status
/// of a
/// service has no source.
fn is_broken_connection(status: &Status) -> bool {
    matches!(status.code(), Code::Unknown | Code::Internal) && status.source().is_some()
}

/// Returns whether the message of this code is useful to a person. Other messages would reveal internals.
fn explains(code: Code) -> bool {
    use Code::{AlreadyExists, FailedPrecondition, InvalidArgument, OutOfRange, ResourceExhausted};
    matches!(code, InvalidArgument | FailedPrecondition | OutOfRange | AlreadyExists | ResourceExhausted)
}

/// Converts the name of a field in `proto/` to its JSON name.
fn in_json(field: &str) -> String {
    if field == "birthday" {
        return "birthYear".to_owned();
    }
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        name + &initial.to_uppercase() + rest
    })
}

/// The body of an error. The fields are in the order in which they are sent.
#[derive(Serialize)]
struct Body {
    code: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<String>,
    message: &'static str,
    status: String,
    timestamp: String,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let name = self.status.canonical_reason().unwrap_or_default().to_uppercase().replace([' ', '-'], "_");
        let Error { code, details, message, .. } = self;
        let body = Body { code, details, message, status: name, timestamp: timestamp() };
        let mut response = (self.status, Json(body)).into_response();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, seconds.max(1).into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn proto_field_names_become_json_names() {
        assert_eq!(super::in_json("response_option_no"), "responseOptionNo");
        assert_eq!(super::in_json("message"), "message");
        assert_eq!(super::in_json("birthday"), "birthYear");
        assert_eq!(super::in_json(""), "");
    }
}
