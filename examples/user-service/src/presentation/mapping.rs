//! Conversions from the outputs of commands and queries to proto messages.
use crate::{
    application::{
        commands::{InitializeUserResult, ReserveTokensResult},
        projections::UserSummary,
    },
    domain::{
        auth_user::{AuthChannel, AuthUser, Authority},
        user::{Balance, Gender},
    },
};
use contracts::{
    iso,
    v1::{
        model,
        service::{CheckRemainingTokensResponse, InitializeUserResponse, ReserveTokensResponse},
    },
};
use cqrs_core::Aggregate;

/// The prefix of each Myers-Briggs type's name in the contract.
pub(super) const MBTI: &str = "MBTI_";

impl From<InitializeUserResult> for InitializeUserResponse {
    fn from(initialized: InitializeUserResult) -> Self {
        InitializeUserResponse { user: Some(initialized.user.into()), auth_user: Some(initialized.auth_user.into()) }
    }
}
impl From<ReserveTokensResult> for ReserveTokensResponse {
    fn from(reserved: ReserveTokensResult) -> Self {
        ReserveTokensResponse {
            remaining_tokens: reserved.remaining as i32,
            max_tokens: reserved.max as i32,
            reserved: reserved.attempt.is_some(),
            attempt: reserved.attempt.map(|attempt| attempt as i32),
            reservation_id: Some(reserved.exchange.to_string()),
        }
    }
}
impl From<Balance> for CheckRemainingTokensResponse {
    fn from(balance: Balance) -> Self {
        CheckRemainingTokensResponse {
            remaining_tokens: balance.remaining as i32,
            max_tokens: balance.max as i32,
            reserved: balance.held_until.is_some(),
            reserved_timeout: balance.held_until.map(iso).unwrap_or_default(),
            resets_at: balance.resets_at.map(iso),
        }
    }
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
            // No login exists yet.
            last_login_at: String::new(),
            oauth_channel_info: None,
            refresh_tokens: Vec::new(),
            deleted_at: None,
        }
    }
}
