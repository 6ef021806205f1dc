//! The REST shapes: envelopes, people, counsels, messages.
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::Utc;
use contracts::v1::{
    model,
    service::{CheckRemainingTokensResponse, UpdateUserRequest},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tonic::{Code, Status};

/// Builds a successful response: `{message, data, timestamp}`.
pub(super) fn success(status: StatusCode, message: &'static str, data: impl Serialize) -> Response {
    (status, Json(json!({ "message": message, "data": data, "timestamp": timestamp() }))).into_response()
}
fn timestamp() -> String {
    Utc::now().format("%Y-%m-%d %H:%M:%S").to_string()
}

/// A failed request.
#[derive(Debug)]
pub(super) struct Failure(StatusCode, String);
impl Failure {
    pub(super) fn internal() -> Self {
        Failure(StatusCode::INTERNAL_SERVER_ERROR, "internal error".to_owned())
    }
    pub(super) fn unauthorized() -> Self {
        Failure(StatusCode::UNAUTHORIZED, "no session".to_owned())
    }
    pub(super) fn not_found() -> Self {
        Failure(StatusCode::NOT_FOUND, "not found".to_owned())
    }
    pub(super) fn invalid(detail: &str) -> Self {
        Failure(StatusCode::BAD_REQUEST, detail.to_owned())
    }
}
impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let code = match status.code() {
            Code::InvalidArgument => StatusCode::BAD_REQUEST,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::PermissionDenied => StatusCode::FORBIDDEN,
            Code::Aborted | Code::AlreadyExists => StatusCode::CONFLICT,
            Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failure(code, status.message().to_owned())
    }
}
impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "message": self.1, "timestamp": timestamp() }))).into_response()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    pub(super) access_token: String,
    pub(super) access_token_expires_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Me {
    user: User,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_tokens: Option<MessageTokens>,
}
impl Me {
    pub(super) fn new(user: model::User, wallet: Option<CheckRemainingTokensResponse>) -> Self {
        Me { user: user.into(), message_tokens: wallet.map(Into::into) }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct User {
    id: String,
    nickname: String,
    user_profile: UserProfile,
}
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserProfile {
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gender: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mbti: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    birth_year: Option<u16>,
}
impl From<model::User> for User {
    fn from(user: model::User) -> Self {
        let profile = user.user_profile.unwrap_or_default();
        let user_profile = UserProfile {
            gender: Some(profile.gender().as_str_name()).filter(|name| !name.ends_with("_UNSPECIFIED")),
            mbti: Some(profile.mbti().as_str_name()).filter(|name| !name.ends_with("_UNSPECIFIED")),
            birth_year: profile.birthday.split('-').next().and_then(|year| year.parse().ok()),
            profile_image: Some(profile.profile_image).filter(|url| !url.is_empty()),
        };
        User { id: user.id, nickname: user.nickname, user_profile }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageTokens {
    remaining: i32,
    max: i32,
    reserved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    resets_at: Option<String>,
}
impl From<CheckRemainingTokensResponse> for MessageTokens {
    fn from(wallet: CheckRemainingTokensResponse) -> Self {
        MessageTokens {
            remaining: wallet.remaining_tokens,
            max: wallet.max_tokens,
            reserved: wallet.reserved,
            resets_at: wallet.resets_at,
        }
    }
}

/// A change of the profile. Absent fields stay.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserUpdate {
    nickname: Option<String>,
    profile_image: Option<String>,
    gender: Option<String>,
    mbti: Option<String>,
    birth_year: Option<u16>,
}
impl UserUpdate {
    pub(super) fn request(self, user_id: String) -> Result<UpdateUserRequest, Failure> {
        let gender =
            self.gender.map(|name| model::Gender::from_str_name(&name).ok_or_else(|| Failure::invalid("gender")));
        let mbti = self.mbti.map(|name| model::Mbti::from_str_name(&name).ok_or_else(|| Failure::invalid("mbti")));
        if self.birth_year.is_some_and(|year| !(1000..=9999).contains(&year)) {
            return Err(Failure::invalid("birthYear"));
        }
        Ok(UpdateUserRequest {
            user_id,
            nickname: self.nickname,
            profile_image: self.profile_image,
            gender: gender.transpose()?.map(i32::from),
            birthday: self.birth_year.map(|year| format!("{year}-01-01")),
            mbti: mbti.transpose()?.map(i32::from),
            ..UpdateUserRequest::default()
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counselor {
    id: String,
    name: String,
    description: String,
    created_at: String,
    updated_at: String,
}
impl From<model::Counselor> for Counselor {
    fn from(counselor: model::Counselor) -> Self {
        Counselor {
            id: counselor.id,
            name: counselor.name,
            description: counselor.description,
            created_at: counselor.created_at,
            updated_at: counselor.updated_at,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counsel {
    id: String,
    counselor_id: String,
    user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_chated_at: Option<String>,
    prompt_version_id: String,
    created_at: String,
    updated_at: String,
}
impl From<model::Counsel> for Counsel {
    fn from(counsel: model::Counsel) -> Self {
        Counsel {
            id: counsel.id,
            counselor_id: counsel.counselor_id,
            user_id: counsel.user_id,
            last_message: counsel.last_message,
            last_chated_at: counsel.last_chated_at,
            prompt_version_id: counsel.prompt_version_id,
            created_at: counsel.created_at,
            updated_at: counsel.updated_at,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct NewMessage {
    pub(super) message: String,
}
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    id: String,
    counsel_id: String,
    message: String,
    is_user_message: bool,
    created_at: String,
    updated_at: String,
}
impl From<model::CounselMessage> for Message {
    fn from(message: model::CounselMessage) -> Self {
        Message {
            id: message.id,
            counsel_id: message.counsel_id,
            message: message.message,
            is_user_message: message.is_user_message,
            created_at: message.created_at,
            updated_at: message.updated_at,
        }
    }
}
