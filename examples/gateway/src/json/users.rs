//! The JSON of people and their wallets.
use super::specified;
use crate::error::Error;
use contracts::v1::{
    model::{self, Gender, Mbti},
    service::{CheckRemainingTokensResponse, UpdateUserRequest},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    id: String,
    nickname: String,
    user_profile: UserProfile,
}
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserProfile {
    profile_image: Option<String>,
    gender: Option<&'static str>,
    mbti: Option<&'static str>,
    birth_year: Option<u16>,
}
impl From<model::User> for User {
    fn from(user: model::User) -> Self {
        let profile = user.user_profile.unwrap_or_default();
        let user_profile = UserProfile {
            gender: specified(profile.gender().as_str_name()),
            mbti: specified(profile.mbti().as_str_name()),
            birth_year: profile.birthday.split('-').next().and_then(|year| year.parse().ok()),
            profile_image: Some(profile.profile_image).filter(|url| !url.is_empty()),
        };
        User { id: user.id, nickname: user.nickname, user_profile }
    }
}

#[derive(Serialize)]
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
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserUpdate {
    nickname: Option<String>,
    profile_image: Option<String>,
    gender: Option<String>,
    mbti: Option<String>,
    birth_year: Option<Year>,
}
/// A year as `1990` or `"1990"`, or an empty text that clears it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Year {
    Number(u16),
    Text(String),
}
impl UserUpdate {
    pub(crate) fn of(self, user: Uuid) -> Result<UpdateUserRequest, Error> {
        let wrong = |field: &str, accepted: &str| Error::invalid(format!("{field}: {accepted}"));
        let gender = self.gender.map(|name| match name.as_str() {
            "" => Ok(Gender::Unspecified),
            "GENDER_MALE" => Ok(Gender::Male),
            "GENDER_FEMALE" => Ok(Gender::Female),
            _ => Err(wrong("gender", "GENDER_MALE, GENDER_FEMALE or empty")),
        });
        let mbti = self.mbti.map(|name| match Mbti::from_str_name(&name) {
            None if name.is_empty() => Ok(Mbti::Unspecified),
            Some(mbti) if mbti != Mbti::Unspecified => Ok(mbti),
            _ => Err(wrong("mbti", "MBTI_ and a type, as in MBTI_INFP, or empty")),
        });
        let birthday = self.birth_year.map(|year| {
            let year = match year {
                Year::Text(text) if text.is_empty() => return Ok(String::new()),
                Year::Text(text) => text.parse().ok(),
                Year::Number(year) => Some(year),
            };
            let year = year.filter(|year| (1000..=9999).contains(year));
            year.map(|year| format!("{year}-01-01"))
                .ok_or_else(|| wrong("birthYear", "a year of four digits, or empty"))
        });
        Ok(UpdateUserRequest {
            user_id: user.to_string(),
            nickname: self.nickname,
            profile_image: self.profile_image,
            gender: gender.transpose()?.map(i32::from),
            birthday: birthday.transpose()?,
            mbti: mbti.transpose()?.map(i32::from),
            ..UpdateUserRequest::default()
        })
    }
}
