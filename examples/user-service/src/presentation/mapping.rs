//! Conversions from the outputs of commands and queries to proto messages.
use crate::{
    application::{
        commands::{ConfirmReservationResult, InitializeUserResult, ReserveTokensResult},
        projections::{AuthUserSummary, UserSummary},
    },
    domain::{
        activity::Activity,
        auth_user::{Authority, OpenSession, Provider},
        user::{Gender, Tracking},
        wallet::Balance,
    },
};
use contracts::{
    iso,
    v1::{
        model,
        service::{
            CheckRemainingTokensResponse, ConfirmReservationResponse, InitializeUserResponse, ReserveTokensResponse,
        },
    },
};
use cqrs_core::serde_json::{Map, Value};
use prost_types::value::Kind;

/// The prefixes of the names of the contract's enums.
pub(super) const MBTI: &str = "MBTI_";
pub(super) const ACTIVITY_TYPE: &str = "ACTIVITY_TYPE_";
pub(super) const DEVICE_PLATFORM: &str = "DEVICE_PLATFORM_";

impl From<InitializeUserResult> for InitializeUserResponse {
    fn from(initialized: InitializeUserResult) -> Self {
        InitializeUserResponse { user: Some(initialized.user.into()), auth_user: Some(initialized.auth_user.into()) }
    }
}
impl From<ReserveTokensResult> for ReserveTokensResponse {
    fn from(reserved: ReserveTokensResult) -> Self {
        ReserveTokensResponse {
            remaining_tokens: number(reserved.remaining),
            max_tokens: number(reserved.max),
            reserved: reserved.attempt.is_some(),
            attempt: reserved.attempt.map(number),
            reservation_id: Some(reserved.exchange.to_string()),
        }
    }
}
impl From<ConfirmReservationResult> for ConfirmReservationResponse {
    fn from(confirmed: ConfirmReservationResult) -> Self {
        ConfirmReservationResponse {
            reservation_id: confirmed.exchange.to_string(),
            attempt: number(confirmed.attempt),
        }
    }
}
impl From<Balance> for CheckRemainingTokensResponse {
    fn from(balance: Balance) -> Self {
        CheckRemainingTokensResponse {
            remaining_tokens: number(balance.remaining),
            max_tokens: number(balance.max),
            reserved: balance.held_until.is_some(),
            reserved_timeout: balance.held_until.map(iso).unwrap_or_default(),
            resets_at: balance.resets_at.map(iso),
        }
    }
}
/// Converts a number of the domain; one that the contract cannot express becomes its largest.
fn number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
impl From<UserSummary> for model::User {
    fn from(summary: UserSummary) -> Self {
        let (created_at, updated_at) = (iso(summary.created_at), iso(summary.updated_at));
        let profile = summary.profile;
        let gender = profile.gender.map_or(model::Gender::Unspecified, |gender| match gender {
            Gender::Male => model::Gender::Male,
            Gender::Female => model::Gender::Female,
        });
        let mbti = profile.mbti.and_then(|mbti| model::Mbti::from_str_name(&format!("{MBTI}{mbti}")));
        let user_profile = model::UserProfile {
            profile_image: text(profile.image),
            phone_number: text(profile.phone_number),
            gender: gender.into(),
            birthday: text(profile.birthday),
            introduction: text(profile.introduction),
            mbti: mbti.unwrap_or_default().into(),
            created_at: created_at.clone(),
            updated_at: updated_at.clone(),
            deleted_at: None,
        };
        model::User {
            id: summary.id.to_string(),
            nickname: summary.nickname.to_string(),
            user_profile: Some(user_profile),
            created_at,
            updated_at,
            deleted_at: None,
        }
    }
}
fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
impl From<AuthUserSummary> for model::AuthUser {
    fn from(auth_user: AuthUserSummary) -> Self {
        let channel = |provider| match provider {
            Provider::Kakao => model::AuthChannel::Kakao,
            Provider::Naver => model::AuthChannel::Naver,
        };
        let auth_channel =
            auth_user.account.as_ref().map_or(model::AuthChannel::Unlinked, |account| channel(account.provider()));
        let linked = auth_user.account.zip(auth_user.link).map(|(account, link)| model::OAuthChannelInfo {
            id: link.id.to_string(),
            auth_channel: auth_channel.into(),
            unique_id: account.unique_id().to_owned(),
            created_at: iso(link.at),
            updated_at: iso(link.at),
            deleted_at: None,
        });
        let authority = match auth_user.authority {
            Authority::User => model::Authority::User,
            Authority::Admin => model::Authority::Admin,
        };
        model::AuthUser {
            id: auth_user.id.to_string(),
            user_id: auth_user.id.user().to_string(),
            auth_channel: auth_channel.into(),
            oauth_channel_info: linked,
            refresh_tokens: auth_user.sessions.into_iter().map(Into::into).collect(),
            authority: authority.into(),
            last_login_at: auth_user.last_login_at.map(iso).unwrap_or_default(),
            created_at: iso(auth_user.created_at),
            updated_at: iso(auth_user.updated_at),
            deleted_at: None,
        }
    }
}
impl From<OpenSession> for model::RefreshToken {
    fn from(session: OpenSession) -> Self {
        let stored_at = iso(session.refreshed_at);
        model::RefreshToken {
            // Only its hash is known.
            token: String::new(),
            expires_at: iso(session.expires_at),
            created_at: stored_at.clone(),
            updated_at: stored_at,
        }
    }
}
/// Converts the parts of the app that a person has seen; the defaults when nothing was recorded.
pub(super) fn tracking(tracking: Option<Tracking>) -> model::UserTracking {
    tracking.map_or_else(Default::default, |tracking| model::UserTracking {
        has_seen_intro_cutscene: tracking.has_seen_intro_cutscene,
        created_at: iso(tracking.created_at),
        updated_at: iso(tracking.updated_at),
        deleted_at: None,
    })
}
impl From<Activity> for model::UserActivity {
    fn from(activity: Activity) -> Self {
        let recorded = activity.recorded();
        let (details, at) = (&recorded.details, iso(recorded.at));
        let kind = model::ActivityType::from_str_name(&format!("{ACTIVITY_TYPE}{}", details.kind.name()));
        let platform = details.platform.and_then(|platform| {
            model::DevicePlatform::from_str_name(&format!("{DEVICE_PLATFORM}{}", platform.name()))
        });
        model::UserActivity {
            activity_type: kind.unwrap_or_default().into(),
            activity_data: Some(object(details.data.object())),
            platform: platform.unwrap_or_default().into(),
            ip_address: text(details.ip_address),
            user_agent: text(details.user_agent.as_ref()),
            duration_seconds: number(details.seconds.get()),
            created_at: at.clone(),
            updated_at: at,
            deleted_at: None,
        }
    }
}
fn object(of: &Map<String, Value>) -> prost_types::Struct {
    prost_types::Struct { fields: of.iter().map(|(name, field)| (name.clone(), value(field))).collect() }
}
fn value(of: &Value) -> prost_types::Value {
    let kind = match of {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        // Every number came from one of these.
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(values) => Kind::ListValue(prost_types::ListValue { values: values.iter().map(value).collect() }),
        Value::Object(fields) => Kind::StructValue(object(fields)),
    };
    prost_types::Value { kind: Some(kind) }
}
