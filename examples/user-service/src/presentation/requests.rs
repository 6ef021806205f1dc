//! Conversions from request messages to values of the domain. A refusal names the field.
use super::mapping::{ACTIVITY_TYPE, DEVICE_PLATFORM, MBTI};
use crate::domain::{
    activity::{ActivityData, ActivityDetails, ActivityError, ActivityKind, Platform, Seconds, UserAgent},
    auth_user::{Account, AuthUserError, Authority, AuthoritySource, Provider},
    user::{Birthday, Edit, Gender, ImageUrl, Introduction, Mbti, Nickname, PhoneNumber, ProfileEdit, UserEdit},
};
use contracts::v1::{model, service as rpc};
use cqrs_core::serde_json::{Map, Number, Value};
use prost_types::value::Kind;
use service_edge::{Rejection, parse};

pub(super) fn edit(message: &rpc::UpdateUserRequest) -> Result<UserEdit, Rejection> {
    let profile = ProfileEdit {
        image: Edit::of(message.profile_image.as_deref(), ImageUrl::parse)?,
        phone_number: Edit::of(message.phone_number.as_deref(), PhoneNumber::parse)?,
        gender: message.gender.map(gender).transpose()?.unwrap_or_default(),
        birthday: Edit::of(message.birthday.as_deref(), Birthday::parse)?,
        introduction: Edit::of(message.introduction.as_deref(), Introduction::parse)?,
        mbti: message.mbti.map(mbti).transpose()?.unwrap_or_default(),
    };
    Ok(UserEdit { nickname: message.nickname.as_deref().map(Nickname::parse).transpose()?, profile })
}
/// Converts a gender; as with texts, the empty value clears the field.
fn gender(number: i32) -> Result<Edit<Gender>, Rejection> {
    Ok(match parse::value("gender", number)? {
        model::Gender::Unspecified => Edit::Clear,
        model::Gender::Male => Edit::Set(Gender::Male),
        model::Gender::Female => Edit::Set(Gender::Female),
    })
}
fn mbti(number: i32) -> Result<Edit<Mbti>, Rejection> {
    match parse::value("mbti", number)? {
        model::Mbti::Unspecified => Ok(Edit::Clear),
        value => Ok(Edit::Set(Mbti::parse(value.as_str_name().trim_start_matches(MBTI))?)),
    }
}

pub(super) fn account(channel: i32, unique_id: &str) -> Result<Account, Rejection> {
    let provider = match parse::value("auth_channel", channel)? {
        model::AuthChannel::Kakao => Provider::Kakao,
        model::AuthChannel::Naver => Provider::Naver,
        model::AuthChannel::Unspecified | model::AuthChannel::Unlinked => Err(AuthUserError::AuthChannel)?,
    };
    Ok(Account::parse(provider, unique_id)?)
}
pub(super) fn authority(number: i32) -> Result<Authority, Rejection> {
    match parse::value("authority", number)? {
        model::Authority::User => Ok(Authority::User),
        model::Authority::Admin => Ok(Authority::Admin),
        model::Authority::Unspecified => Err(AuthUserError::Authority)?,
    }
}
pub(super) fn authority_source(message: &rpc::UpdateAuthorityRequest) -> AuthoritySource {
    if message.by_configuration() { AuthoritySource::Configuration } else { AuthoritySource::Operator }
}

pub(super) fn activity(message: rpc::CreateActivityRequest) -> Result<ActivityDetails, Rejection> {
    let kind: model::ActivityType = parse::value("activity_type", message.activity_type)?;
    let kind = ActivityKind::named(kind.as_str_name().trim_start_matches(ACTIVITY_TYPE));
    let platform: model::DevicePlatform = parse::value("platform", message.platform)?;
    let data = object(message.activity_data.unwrap_or_default()).ok_or(ActivityError::ActivityData)?;
    Ok(ActivityDetails {
        kind: kind.ok_or(ActivityError::ActivityType)?,
        data: ActivityData::parse(data)?,
        // A device that the client does not know is absent.
        platform: Platform::named(platform.as_str_name().trim_start_matches(DEVICE_PLATFORM)),
        ip_address: given(&message.ip_address)
            .map(|text| text.parse().map_err(|_| ActivityError::IpAddress))
            .transpose()?,
        user_agent: given(&message.user_agent).map(UserAgent::parse).transpose()?,
        seconds: Seconds::parse(message.duration_seconds)?,
    })
}
fn given(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
/// Converts a struct of the contract. It is `None` with a number that JSON does not have: an infinite one, or none.
fn object(of: prost_types::Struct) -> Option<Map<String, Value>> {
    of.fields.into_iter().map(|(name, field)| Some((name, value(field)?))).collect()
}
fn value(of: prost_types::Value) -> Option<Value> {
    Some(match of.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(flag)) => Value::Bool(flag),
        Some(Kind::NumberValue(number)) => Value::Number(Number::from_f64(number)?),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::ListValue(list)) => Value::Array(list.values.into_iter().map(value).collect::<Option<_>>()?),
        Some(Kind::StructValue(fields)) => Value::Object(object(fields)?),
    })
}
