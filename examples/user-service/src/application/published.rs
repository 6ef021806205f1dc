//! The integration events of this context. A renaming in the domain changes this file and no other service.
use crate::domain::user::UserEvent;
use contracts::{
    iso,
    v1::message::{TokensSpent, UserRegistered, UserUpdated},
};
use cqrs_core::publish;

#[publish]
fn user_registered(event: &UserEvent) -> Option<UserRegistered> {
    let UserEvent::Registered { id, nickname, at, .. } = event else { return None };
    Some(UserRegistered { user_id: id.to_string(), nickname: nickname.to_string(), occurred_at: iso(*at) })
}

#[publish]
fn user_updated(event: &UserEvent) -> Option<UserUpdated> {
    let UserEvent::Updated { id, at, .. } = event else { return None };
    // The login did not change, so the field stays unspecified.
    Some(UserUpdated { user_id: id.to_string(), auth_channel: 0, occurred_at: iso(*at) })
}

#[publish]
fn tokens_consumed(event: &UserEvent) -> Option<TokensSpent> {
    let UserEvent::TokensConsumed { id, exchange, remaining, max, at } = event else { return None };
    Some(TokensSpent {
        user_id: id.to_string(),
        exchange_id: exchange.to_string(),
        remaining_tokens: *remaining as i32,
        max_tokens: *max as i32,
        occurred_at: iso(*at),
    })
}
