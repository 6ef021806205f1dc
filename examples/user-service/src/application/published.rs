//! The integration events of this context. A renaming in the domain changes this file and no other service.
use crate::domain::{
    auth_user::{AuthUserEvent, Provider},
    user::UserEvent,
    wallet::WalletEvent,
};
use contracts::{
    iso,
    v1::{
        message::{TokensSpent, UserRegistered, UserUpdated},
        model::AuthChannel,
    },
};
use cqrs_core::{Recorded, publish};

#[publish]
fn user_registered(event: &Recorded<UserEvent>) -> Option<UserRegistered> {
    let UserEvent::Registered { nickname, at } = &event.event else { return None };
    let user_id = event.aggregate_id.to_string();
    Some(UserRegistered { user_id, nickname: nickname.to_string(), occurred_at: iso(*at) })
}

#[publish]
fn user_updated(event: &Recorded<UserEvent>) -> Option<UserUpdated> {
    let UserEvent::Updated { nickname, at, .. } = &event.event else { return None };
    let (user_id, nickname) = (event.aggregate_id.to_string(), Some(nickname.to_string()));
    // The login did not change, so the field stays unspecified.
    Some(UserUpdated { user_id, auth_channel: 0, occurred_at: iso(*at), nickname })
}

#[publish]
fn user_linked(event: &Recorded<AuthUserEvent>) -> Option<UserUpdated> {
    let AuthUserEvent::Linked { account, at, .. } = &event.event else { return None };
    let auth_channel = match account.provider() {
        Provider::Kakao => AuthChannel::Kakao,
        Provider::Naver => AuthChannel::Naver,
    };
    let user_id = event.aggregate_id.user().to_string();
    // The nickname did not change, so the field is absent.
    Some(UserUpdated { user_id, auth_channel: auth_channel.into(), occurred_at: iso(*at), nickname: None })
}

#[publish]
fn tokens_consumed(event: &Recorded<WalletEvent>) -> Option<TokensSpent> {
    let WalletEvent::TokensConsumed { exchange, remaining, max, at } = &event.event else { return None };
    Some(TokensSpent {
        user_id: event.aggregate_id.to_string(),
        exchange_id: exchange.to_string(),
        remaining_tokens: *remaining as i32,
        max_tokens: *max as i32,
        occurred_at: iso(*at),
    })
}
