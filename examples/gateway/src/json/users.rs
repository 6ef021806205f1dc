//! The JSON of people and their wallets.
use super::{
    names::{Gender, GenderOrEmpty, Mbti, MbtiOrEmpty},
    shown::{Shown, answers, shown},
};
use crate::error::Error;
use contracts::v1::{
    model,
    service::{CheckRemainingTokensResponse, UpdateUserRequest},
};
use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Object, OneOf, RefOr, Schema, schema::Type},
};
use uuid::Uuid;

/// The caller and, when they are read, their tokens.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Me {
    pub(crate) user: User,
    pub(crate) message_tokens: Option<MessageTokens>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    id: String,
    nickname: String,
    user_profile: UserProfile,
}
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UserProfile {
    profile_image: Option<String>,
    gender: Option<Gender>,
    mbti: Option<Mbti>,
    birth_year: Option<u16>,
}
impl From<model::User> for User {
    fn from(user: model::User) -> Self {
        let user_profile = user.user_profile.unwrap_or_default().into();
        User { id: user.id, nickname: user.nickname, user_profile }
    }
}
impl From<model::UserProfile> for UserProfile {
    fn from(profile: model::UserProfile) -> Self {
        UserProfile {
            gender: profile.gender.shown(),
            mbti: profile.mbti.shown(),
            birth_year: profile.birthday.split('-').next().and_then(|year| year.parse().ok()),
            profile_image: Some(profile.profile_image).filter(|url| !url.is_empty()),
        }
    }
}

shown! {
    /// A person, with the times of their registration and last change.
    AdminUser of User {
        id: String,
        nickname: String,
        user_profile: UserProfile,
        created_at: String,
        updated_at: String,
        deleted_at: Option<String>,
    }
}
impl Shown<UserProfile> for Option<model::UserProfile> {
    fn shown(self) -> UserProfile {
        self.unwrap_or_default().into()
    }
}
answers! { OneAdminUser { user: AdminUser of model::User } }

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageTokens {
    remaining: i32,
    max: i32,
    reserved: bool,
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

/// The body of a profile change. An absent field keeps its value, an empty text clears it.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserUpdate {
    nickname: Option<String>,
    profile_image: Option<String>,
    gender: Option<GenderOrEmpty>,
    mbti: Option<MbtiOrEmpty>,
    birth_year: Option<Year>,
}
/// A year as `1990` or `"1990"`, or an empty text that clears it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Year {
    Number(u16),
    Text(String),
}
impl PartialSchema for Year {
    fn schema() -> RefOr<Schema> {
        let number = Object::builder().schema_type(Type::Integer).minimum(Some(1000)).maximum(Some(9999));
        let text = Object::builder().schema_type(Type::String).pattern(Some("^([1-9][0-9]{3})?$"));
        OneOf::builder().item(number).item(text).into()
    }
}
impl ToSchema for Year {}
impl UserUpdate {
    pub(crate) fn of(self, user: Uuid) -> Result<UpdateUserRequest, Error> {
        let birthday = self.birth_year.map(|year| {
            let year = match year {
                Year::Text(text) if text.is_empty() => return Ok(String::new()),
                Year::Text(text) => text.parse().ok(),
                Year::Number(year) => Some(year),
            };
            let year = year.filter(|year| (1000..=9999).contains(year));
            let wrong = || Error::invalid("birthYear: a year of four digits, or empty");
            year.map(|year| format!("{year}-01-01")).ok_or_else(wrong)
        });
        Ok(UpdateUserRequest {
            user_id: user.to_string(),
            nickname: self.nickname,
            profile_image: self.profile_image,
            gender: self.gender.map(i32::from),
            birthday: birthday.transpose()?,
            mbti: self.mbti.map(i32::from),
            ..UpdateUserRequest::default()
        })
    }
}
