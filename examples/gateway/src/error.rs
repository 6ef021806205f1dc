//! Errors as HTTP responses: the gateway's own errors, and the mapping of the services' status codes.
use crate::{
    envelope::timestamp,
    language::{Detail, Language, Text},
    tokens::TokenError,
};
use axum::{
    Json,
    body::Body,
    http::{
        StatusCode,
        header::{CONTENT_LENGTH, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use contracts::NO_REMAINING_TOKENS;
use cqrs_core::grpc;
use serde::Serialize;
use service_auth::Refused;
use std::{error::Error as _, time::Duration};
use tonic::{Code, Status};

/// The refusal of a message without tokens. It names help, because the person may need it now.
const NO_TOKENS: (&str, &str) = (
    "지금 나눌 수 있는 대화를 모두 쓰셨어요. 혹시 지금 많이 힘들거나 죽고 싶은 마음이 든다면 혼자 견디지 마시고 자살예방 상담전화 109(24시간)로 \
     전화해 주세요. 위급할 때는 119나 112로 연락해 주세요.",
    "You have used all the messages you have for now. If you are in distress or think about ending your life, please do not \
     stay alone with it: call the suicide prevention line 109 in Korea, at any hour. In an emergency call 119 or 112.",
);
/// The error of a reply that cannot come now.
const NO_REPLY: (&str, &str) = (
    "지금은 상담사가 답하기 어려워요. 잠시 뒤에 다시 보내 주세요. 혹시 지금 많이 힘들거나 죽고 싶은 마음이 든다면 기다리지 마시고 자살예방 \
     상담전화 109(24시간)로 전화해 주세요. 위급할 때는 119나 112로 연락해 주세요.",
    "The counsellor cannot answer right now. Please send your message again in a moment. If you are in distress or think about \
     ending your life, please do not wait: call the suicide prevention line 109 in Korea, at any hour. In an emergency call \
     119 or 112.",
);

/// The refusals of a message for want of a consent, and because of the age. The message may have spoken of a danger.
const NO_CONSENT: (&str, &str) = (
    "먼저 개인정보 처리에 동의해 주세요. 혹시 지금 많이 힘들거나 죽고 싶은 마음이 든다면 동의하지 않아도 괜찮으니 자살예방 상담전화 109(24시간)로 \
     전화해 주세요. 위급할 때는 119나 112로 연락해 주세요.",
    "Give your consent to the processing of your data first. If you are in distress or think about ending your life, you need \
     no consent to get help: call the suicide prevention line 109 in Korea, at any hour. In an emergency call 119 or 112.",
);
const UNDER_AGE: (&str, &str) = (
    "만 14세 이상만 이용할 수 있습니다. 혹시 지금 많이 힘들거나 죽고 싶은 마음이 든다면 나이와 상관없이 자살예방 상담전화 109(24시간)로 \
     전화해 주세요. 위급할 때는 119나 112로 연락해 주세요.",
    "You must be 14 years or older. If you are in distress or think about ending your life, you get help at any age: call the \
     suicide prevention line 109 in Korea, at any hour. In an emergency call 119 or 112.",
);

/// An error response with its own envelope.
#[derive(Debug, Clone)]
pub(crate) struct Error {
    status: StatusCode,
    code: &'static str,
    message: Text,
    details: Vec<Detail>,
    retry_after: Option<Duration>,
    /// The machine-readable reason of a service.
    reason: Option<String>,
    /// True when a service refused the gateway's own proof, which is a fault of the configuration.
    unauthenticated: bool,
}

// The gateway's own errors; their code is a name.
impl Error {
    /// The error of an invalid input. The detail is English: the field and the accepted values.
    pub(crate) fn invalid(detail: impl AsRef<str>) -> Self {
        let text = ("입력값이 올바르지 않습니다.", "The input is not valid.");
        Error::new(StatusCode::BAD_REQUEST, "HTTP_INVALID_INPUT", text).because(detail)
    }
    pub(crate) fn missing_parameter(name: &str) -> Self {
        let text = ("필요한 값이 요청에 없습니다.", "A required parameter is missing.");
        Error::new(StatusCode::BAD_REQUEST, "HTTP_MISSING_REQUEST_PARAMETER", text).because(format!("{name}: required"))
    }
    pub(crate) fn no_such_path() -> Self {
        let text = ("요청한 주소를 찾을 수 없습니다.", "There is nothing at this address.");
        Error::new(StatusCode::NOT_FOUND, "HTTP_NOT_FOUND", text)
    }
    pub(crate) fn wrong_method() -> Self {
        let text = ("허용되지 않은 요청 방식입니다.", "This address does not accept this method.");
        Error::new(StatusCode::METHOD_NOT_ALLOWED, "HTTP_METHOD_NOT_ALLOWED", text)
    }
    pub(crate) fn too_large() -> Self {
        let text = ("요청 본문이 너무 큽니다.", "The body of the request is too large.");
        Error::new(StatusCode::PAYLOAD_TOO_LARGE, "HTTP_PAYLOAD_TOO_LARGE", text)
    }
    /// The error of a body that does not arrive in time.
    pub(crate) fn body_timeout() -> Self {
        let text = ("요청 본문이 제때 도착하지 않았습니다.", "The body of the request did not arrive in time.");
        Error::new(StatusCode::REQUEST_TIMEOUT, "HTTP_REQUEST_TIMEOUT", text)
    }
    pub(crate) fn not_json() -> Self {
        let text = ("요청 본문은 application/json이어야 합니다.", "The body of the request must be application/json.");
        Error::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "HTTP_UNSUPPORTED_MEDIA_TYPE", text)
    }
    /// The error of a write that a page of another site may have sent.
    pub(crate) fn cross_site() -> Self {
        let text = ("다른 사이트에서 보낸 요청은 처리할 수 없습니다.", "Requests of other sites are refused.");
        Error::new(StatusCode::FORBIDDEN, "HTTP_CROSS_SITE_REQUEST", text)
    }
    pub(crate) fn too_many(wait: Duration) -> Self {
        let text = ("요청이 너무 많습니다. 잠시 후 다시 시도해 주세요.", "Too many requests. Try again later.");
        let error = Error::new(StatusCode::TOO_MANY_REQUESTS, "HTTP_TOO_MANY_REQUESTS", text);
        Error { retry_after: Some(wait), ..error }
    }
    pub(crate) fn no_token() -> Self {
        Error::unauthorized("COOKIE_NOT_FOUND", ("로그인 정보가 없습니다.", "There is no session."))
    }
    /// The error of a request that has a refresh token only.
    pub(crate) fn access_token_required() -> Self {
        Error::unauthorized("ACCESS_TOKEN_REQUIRED", ("접근 토큰이 필요합니다.", "An access token is required."))
    }
    pub(crate) fn access_token(bad: TokenError) -> Self {
        match bad {
            TokenError::Invalid => Error::bad_token(),
            TokenError::Expired => {
                let text = ("접근 토큰이 만료되었습니다.", "The access token has expired.");
                Error::unauthorized("ACCESS_TOKEN_EXPIRED", text)
            }
        }
    }
    pub(crate) fn bad_token() -> Self {
        let text = ("유효하지 않은 접근 토큰입니다.", "The access token is not valid.");
        Error::unauthorized("ACCESS_TOKEN_INVALID", text)
    }
    pub(crate) fn refresh_token_required() -> Self {
        let text = ("갱신 토큰이 필요합니다.", "A refresh token is required.");
        Error::unauthorized("REFRESH_TOKEN_REQUIRED", text)
    }
    pub(crate) fn refresh_token(bad: TokenError) -> Self {
        match bad {
            TokenError::Invalid => {
                let text = ("유효하지 않은 갱신 토큰입니다.", "The refresh token is not valid.");
                Error::unauthorized("REFRESH_TOKEN_INVALID", text)
            }
            TokenError::Expired => {
                let text = ("갱신 토큰이 만료되었습니다.", "The refresh token has expired.");
                Error::unauthorized("REFRESH_TOKEN_EXPIRED", text)
            }
        }
    }
    /// The error of a refresh token whose session has ended.
    pub(crate) fn refresh_token_unknown() -> Self {
        let text = ("이미 끝난 로그인입니다. 다시 시작해 주세요.", "This session has ended. Start a new one.");
        Error::unauthorized("REFRESH_TOKEN_NOT_FOUND", text)
    }
    pub(crate) fn no_provider() -> Self {
        let text = ("사용할 수 없는 로그인 방법입니다.", "This way of login is not available.");
        Error::new(StatusCode::NOT_FOUND, "LOGIN_PROVIDER_NOT_CONFIGURED", text)
    }
    /// The error of a callback that belongs to no login of this browser.
    pub(crate) fn login_state() -> Self {
        let text = (
            "로그인 요청이 만료되었거나 올바르지 않습니다. 다시 로그인해 주세요.",
            "This login has expired or is not valid. Log in again.",
        );
        Error::new(StatusCode::BAD_REQUEST, "LOGIN_STATE_INVALID", text)
    }
    /// The error of an authorization code that the provider refuses.
    pub(crate) fn login_refused() -> Self {
        let text = ("로그인하지 못했습니다. 다시 로그인해 주세요.", "The login failed. Log in again.");
        Error::new(StatusCode::BAD_REQUEST, "LOGIN_FAILED", text)
    }
    /// The error of a provider that does not answer as it should.
    pub(crate) fn provider(code: &'static str) -> Self {
        let text = (
            "로그인 서비스가 응답하지 않습니다. 잠시 후 다시 시도해 주세요.",
            "The login service does not answer. Try again later.",
        );
        Error::new(StatusCode::INTERNAL_SERVER_ERROR, code, text)
    }
    pub(crate) fn already_linked() -> Self {
        let text = ("이미 다른 계정과 연결되어 있습니다.", "Another account is linked already.");
        Error::new(StatusCode::CONFLICT, "E40901", text)
    }
    pub(crate) fn admin_link() -> Self {
        let text = ("관리자 링크가 만료되었거나 이미 사용되었습니다.", "The admin link has expired or was used.");
        Error::unauthorized("ADMIN_LINK_INVALID", text)
    }
    /// The error of an unknown id. It is the same for the gateway and the services, so that it reveals nothing about
    /// other people's data.
    pub(crate) fn unknown_id() -> Self {
        Error::of(Code::NotFound)
    }
    /// The error of an entry that exists already.
    pub(crate) fn exists() -> Self {
        Error::of(Code::AlreadyExists)
    }
    /// The error of a person who is no administrator.
    pub(crate) fn no_administrator() -> Self {
        Error::of(Code::PermissionDenied)
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
        details.iter().fold(Error::of(Code::Unavailable), Error::because)
    }
    /// Adds a detail in English: the field and the accepted values, or a sentence.
    pub(crate) fn because(mut self, detail: impl AsRef<str>) -> Self {
        self.details.push(Detail::parse(detail.as_ref()));
        self
    }
    /// Gives a field another name in the details: the JSON of one endpoint can have other fields than the service.
    pub(crate) fn renaming(mut self, field: &str, name: &str) -> Self {
        let named = self.details.iter_mut().filter(|detail| detail.field.as_deref() == Some(field));
        named.for_each(|detail| detail.field = Some(name.to_owned()));
        self
    }
    /// Removes the advice to try again.
    pub(crate) fn without_retry(self) -> Self {
        Error { retry_after: None, ..self }
    }
    /// Returns whether a service refused the request, so that nothing of it goes on.
    pub(crate) fn is_refusal(&self) -> bool {
        self.status.is_client_error()
    }
    /// Returns whether the person has no token left.
    pub(crate) fn is_without_tokens(&self) -> bool {
        self.code == NO_REMAINING_TOKENS
    }
    pub(crate) fn is_unknown_id(&self) -> bool {
        self.code == "E40401"
    }
    /// Returns whether the value is already used.
    pub(crate) fn is_conflict(&self) -> bool {
        self.code == "E40901"
    }
    pub(crate) fn is_unauthorized(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }
    /// Returns the machine-readable reason of the service.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
    /// Returns the code, for the log.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// Returns whether the service was unreachable or refused the gateway's proof.
    pub(crate) fn is_outage(&self) -> bool {
        self.unauthenticated || matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
    }

    /// Returns whether the service does not know what was asked for.
    pub(crate) fn is_absence(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// Returns the error of a reason that has a name of its own towards clients.
    fn named(reason: &str) -> Option<Self> {
        const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;
        const TOO_MANY: StatusCode = StatusCode::TOO_MANY_REQUESTS;
        Some(match reason {
            NO_REMAINING_TOKENS => Error::new(FORBIDDEN, NO_REMAINING_TOKENS, NO_TOKENS),
            "CONSENT_REQUIRED" => Error::new(FORBIDDEN, "CONSENT_REQUIRED", NO_CONSENT),
            "UNDER_AGE" => Error::new(FORBIDDEN, "UNDER_AGE", UNDER_AGE),
            "EPISODE_LOCKED" => {
                let text = ("아직 열리지 않은 에피소드입니다.", "This episode is still locked.");
                Error::new(FORBIDDEN, "EPISODE_LOCKED", text)
            }
            "TOO_MANY_COUNSELS" => {
                let text = ("열어 둔 상담이 너무 많습니다.", "You have too many open counsels.");
                Error::new(TOO_MANY, "TOO_MANY_COUNSELS", text)
            }
            "COUNSEL_BUSY" => {
                let text = (
                    "상담사가 앞선 메시지에 답하고 있습니다. 답을 받은 뒤에 다시 보내 주세요.",
                    "The counsellor is still answering another message. Send this one again after the reply.",
                );
                Error::new(TOO_MANY, "COUNSEL_BUSY", text)
            }
            "MODEL_BUDGET_USED_UP" => Error::new(TOO_MANY, "MODEL_BUDGET_USED_UP", NO_REPLY),
            _ => return None,
        })
    }
    /// Names help in the error of a reply that did not come: the person may need it now.
    pub(crate) fn of_reply(self) -> Self {
        let (korean, english) = NO_REPLY;
        if self.is_outage() { Error { message: Text { korean, english }, ..self } } else { self }
    }
    fn unauthorized(code: &'static str, text: (&'static str, &'static str)) -> Self {
        Error::new(StatusCode::UNAUTHORIZED, code, text)
    }
    fn new(status: StatusCode, code: &'static str, (korean, english): (&'static str, &'static str)) -> Self {
        let retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(Duration::from_secs(1));
        let (message, details) = (Text { korean, english }, Vec::new());
        Error { status, code, message, details, retry_after, reason: None, unauthenticated: false }
    }
    /// Maps a status code of a service.
    fn of(code: Code) -> Self {
        let (status, code, text) = match code {
            Code::InvalidArgument => {
                (StatusCode::BAD_REQUEST, "E40001", ("입력값이 올바르지 않습니다.", "The input is not valid."))
            }
            Code::FailedPrecondition => {
                (StatusCode::BAD_REQUEST, "E40002", ("지금은 처리할 수 없는 요청입니다.", "This is not possible now."))
            }
            Code::OutOfRange => {
                (StatusCode::BAD_REQUEST, "E40003", ("허용 범위를 벗어난 값입니다.", "The value is out of range."))
            }
            Code::Unauthenticated => {
                (StatusCode::UNAUTHORIZED, "E40101", ("인증이 필요합니다.", "Authentication is required."))
            }
            Code::PermissionDenied => {
                (StatusCode::FORBIDDEN, "E40301", ("접근 권한이 없습니다.", "You have no permission for this."))
            }
            Code::NotFound => (
                StatusCode::NOT_FOUND,
                "E40401",
                ("요청한 대상을 찾을 수 없습니다.", "The requested entry was not found."),
            ),
            Code::AlreadyExists => (
                StatusCode::CONFLICT,
                "E40901",
                ("이미 존재하거나 이미 사용된 값입니다.", "It exists already, or the value is taken."),
            ),
            Code::Aborted => (
                StatusCode::CONFLICT,
                "E40902",
                ("다른 요청과 충돌했습니다. 다시 시도해 주세요.", "Another request interfered. Try again."),
            ),
            Code::ResourceExhausted => (
                StatusCode::TOO_MANY_REQUESTS,
                "E42901",
                ("요청이 너무 많습니다. 잠시 후 다시 시도해 주세요.", "Too many requests. Try again later."),
            ),
            Code::Unimplemented => (
                StatusCode::NOT_IMPLEMENTED,
                "E50101",
                ("아직 지원하지 않는 기능입니다.", "This is not supported yet."),
            ),
            Code::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "E50301",
                (
                    "서비스를 잠시 사용할 수 없습니다. 잠시 후 다시 시도해 주세요.",
                    "The service is temporarily unavailable. Try again later.",
                ),
            ),
            // tonic reports a passed deadline as CANCELLED on both sides.
            Code::DeadlineExceeded | Code::Cancelled => (
                StatusCode::GATEWAY_TIMEOUT,
                "E50401",
                (
                    "응답이 지연되고 있습니다. 잠시 후 다시 시도해 주세요.",
                    "The response takes too long. Try again later.",
                ),
            ),
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "E50001",
                ("서버 내부 오류가 발생했습니다.", "An internal error occurred."),
            ),
        };
        Error::new(status, code, text)
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
        if let Some(error) = details.reason.as_deref().and_then(Error::named) {
            return Error { retry_after: details.retry_after, ..error };
        }
        let mut error = Error::of(if is_broken_connection(&status) { Code::Unavailable } else { status.code() });
        if error.status.is_server_error() {
            tracing::warn!(code = ?status.code(), message = status.message(), "gateway: a call to a service failed");
        } else if details.fields.is_empty() && explains(status.code()) {
            error.details.push(Detail { field: None, phrase: status.message().to_owned() });
        }
        let detail = |(field, accepted): (String, String)| Detail { field: Some(in_json(&field)), phrase: accepted };
        error.details.extend(details.fields.into_iter().map(detail));
        error.reason = details.reason;
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
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        name + &initial.to_uppercase() + rest
    })
}

/// The body of an error. The fields are in the order in which they are sent.
#[derive(Serialize)]
struct ErrorBody {
    code: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<String>,
    message: &'static str,
    status: String,
    timestamp: String,
}

impl Error {
    fn body(&self, language: Language) -> ErrorBody {
        let status = self.status.canonical_reason().unwrap_or_default().to_uppercase().replace([' ', '-'], "_");
        let details = self.details.iter().map(|detail| detail.text(language)).collect();
        let message = self.message.of(language);
        ErrorBody { code: self.code, details, message, status, timestamp: timestamp() }
    }
}
/// The response is Korean. It carries the error, from which [`in_language`] makes another.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body(Language::Korean))).into_response();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, seconds.max(1).into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Translates the body of an error to the language of the request.
pub(crate) fn in_language(language: Language, mut response: Response) -> Response {
    let Some(error) = response.extensions_mut().remove::<Error>() else { return response };
    if language != Language::Korean {
        let text = serde_json::to_vec(&error.body(language)).expect("a body has text keys and plain values");
        response.headers_mut().remove(CONTENT_LENGTH);
        *response.body_mut() = Body::from(text);
    }
    response
}

#[cfg(test)]
mod tests {
    #[test]
    fn proto_field_names_become_json_names() {
        assert_eq!(super::in_json("response_option_no"), "responseOptionNo");
        assert_eq!(super::in_json("message"), "message");
        assert_eq!(super::in_json(""), "");
    }
}
