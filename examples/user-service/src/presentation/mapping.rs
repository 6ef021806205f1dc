//! What commands and queries answer, as proto messages.
use super::requests::MBTI;
use crate::{
    application::{
        commands::{Initialized, Reserved},
        projections::UserCard,
        published::iso,
    },
    domain::{
        auth_user::{AuthChannel, AuthUser, Authority},
        user::{Balance, Gender},
    },
};
use contracts::v1::{
    model,
    service::{
        CheckRemainingTokensResponse, FindUserByUserIdResponse, InitializeUserResponse, ReserveTokensResponse,
        UpdateUserResponse,
    },
};
use cqrs_core::Aggregate;

impl From<Initialized> for InitializeUserResponse {
    fn from(it: Initialized) -> Self {
        InitializeUserResponse { user: Some(it.user.into()), auth_user: Some(it.auth_user.into()) }
    }
}
impl From<UserCard> for FindUserByUserIdResponse {
    fn from(card: UserCard) -> Self {
        FindUserByUserIdResponse { user: Some(card.into()) }
    }
}
impl From<UserCard> for UpdateUserResponse {
    fn from(card: UserCard) -> Self {
        UpdateUserResponse { user: Some(card.into()) }
    }
}
impl From<Reserved> for ReserveTokensResponse {
    fn from(it: Reserved) -> Self {
        ReserveTokensResponse {
            remaining_tokens: it.remaining as i32,
            max_tokens: it.max as i32,
            reserved: it.attempt.is_some(),
            attempt: it.attempt.map(|attempt| attempt as i32),
            reservation_id: Some(it.exchange.to_string()),
        }
    }
}
impl From<Balance> for CheckRemainingTokensResponse {
    fn from(it: Balance) -> Self {
        CheckRemainingTokensResponse {
            remaining_tokens: it.remaining as i32,
            max_tokens: it.max as i32,
            reserved: it.held_until.is_some(),
            reserved_timeout: it.held_until.map(iso).unwrap_or_default(),
            resets_at: it.resets_at.map(iso),
        }
    }
}
impl From<UserCard> for model::User {
    fn from(card: UserCard) -> Self {
        let (created_at, updated_at) = (iso(card.created_at), iso(card.updated_at));
        let told = card.profile;
        let gender = told.gender.map_or(model::Gender::Unspecified, |gender| match gender {
            Gender::Male => model::Gender::Male,
            Gender::Female => model::Gender::Female,
        });
        let mbti = told.mbti.and_then(|mbti| model::Mbti::from_str_name(&format!("{MBTI}{mbti}")));
        let profile = model::UserProfile {
            profile_image: text(told.image),
            phone_number: text(told.phone_number),
            gender: gender.into(),
            birthday: text(told.birthday),
            introduction: text(told.introduction),
            mbti: mbti.unwrap_or_default().into(),
            created_at: created_at.clone(),
            updated_at: updated_at.clone(),
            deleted_at: None,
        };
        model::User {
            id: card.id.to_string(),
            nickname: card.nickname.to_string(),
            user_profile: Some(profile),
            created_at,
            updated_at,
            deleted_at: None,
        }
    }
}
fn text(told: Option<impl ToString>) -> String {
    told.map(|it| it.to_string()).unwrap_or_default()
}
impl From<AuthUser> for model::AuthUser {
    fn from(auth_user: AuthUser) -> Self {
        let AuthChannel::Unlinked = auth_user.channel();
        let Authority::User = auth_user.authority();
        model::AuthUser {
            id: auth_user.id().to_string(),
            user_id: auth_user.user().to_string(),
            auth_channel: model::AuthChannel::Unlinked.into(),
            authority: model::Authority::User.into(),
            created_at: iso(auth_user.created_at()),
            updated_at: iso(auth_user.created_at()),
            // Nobody has logged in with these yet.
            last_login_at: String::new(),
            oauth_channel_info: None,
            refresh_tokens: Vec::new(),
            deleted_at: None,
        }
    }
}
