//! A person with a wallet of message tokens. A person exists from the first visit on, before any login.
mod edit;
mod error;
mod event;
mod invisible;
mod nickname;
mod profile;
#[cfg(test)]
mod tests;
mod wallet;

pub use edit::{Edit, ProfileEdit, UserEdit};
pub use error::UserError;
pub use event::UserEvent;
pub use nickname::Nickname;
pub use profile::{Birthday, Gender, ImageUrl, Introduction, Mbti, PhoneNumber, Profile};
pub use wallet::{Allowance, Balance, HOLD, REMEMBERED, REMEMBERED_MOST, ResetInterval, Wallet};

use cqrs_core::{Aggregate, Evolve, Timestamp};
use serde::{Deserialize, Serialize};

cqrs_core::id!(
    /// Identifies a person.
    pub UserId
);
cqrs_core::id!(
    /// Identifies an exchange: a person's message and its reply. A token is held and consumed for an exchange.
    pub ExchangeId
);

/// A person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "user", event = UserEvent)]
pub struct User {
    #[id]
    id: UserId,
    #[unique]
    nickname: Nickname,
    profile: Profile,
    wallet: Wallet,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl User {
    /// Registers a person on the first visit.
    pub fn register(nickname: Nickname, now: Timestamp) -> UserEvent {
        UserEvent::Registered { nickname, allowance: Allowance::ANONYMOUS, at: now }
    }
    /// Changes the profile. An edit that changes nothing produces no event. A birthday after today is refused.
    pub fn update(&self, edit: UserEdit, now: Timestamp) -> Result<Option<UserEvent>, UserError> {
        if edit.is_empty() {
            return Err(UserError::NothingToUpdate);
        }
        let nickname = edit.nickname.unwrap_or_else(|| self.nickname.clone());
        let profile = edit.profile.of(&self.profile);
        if profile.birthday.as_ref().is_some_and(|birthday| birthday.is_after(now)) {
            return Err(UserError::Birthday);
        }
        let changed = nickname != self.nickname || profile != self.profile;
        Ok(changed.then_some(UserEvent::Updated { nickname, profile, at: now }))
    }
    /// Holds a token for an exchange. Produces no event when a token is held or consumed for it already.
    pub fn reserve(&self, exchange: ExchangeId, now: Timestamp) -> Result<Option<UserEvent>, UserError> {
        let attempt = self.wallet.reserve(exchange, now)?;
        Ok(attempt.map(|attempt| UserEvent::TokensReserved { exchange, attempt, at: now }))
    }
    /// Releases the token that is held for an exchange, unless a newer attempt holds it.
    pub fn release(&self, exchange: ExchangeId, attempt: u32, now: Timestamp) -> Option<UserEvent> {
        let held = self.wallet.release(exchange, attempt, now)?;
        Some(UserEvent::TokensReleased { exchange, attempt: held, at: now })
    }
    /// Consumes one token for a complete exchange, held or not.
    pub fn consume(&self, exchange: ExchangeId, now: Timestamp) -> Option<UserEvent> {
        let Balance { remaining, max, .. } = self.wallet.consume(exchange, now)?;
        Some(UserEvent::TokensConsumed { exchange, remaining, max, at: now })
    }

    pub fn nickname(&self) -> &Nickname {
        &self.nickname
    }
    pub fn profile(&self) -> &Profile {
        &self.profile
    }
    pub fn wallet(&self) -> &Wallet {
        &self.wallet
    }
    /// Returns the time of the first visit.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }
    /// Returns the time of the last profile change.
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }
}

impl Evolve<UserEvent> for User {
    fn create(id: UserId, event: &UserEvent) -> Option<Self> {
        let UserEvent::Registered { nickname, allowance, at } = event.clone() else { return None };
        let wallet = Wallet::new(allowance, at);
        Some(User { id, nickname, profile: Profile::default(), wallet, created_at: at, updated_at: at })
    }

    fn apply(&mut self, event: &UserEvent) {
        if let UserEvent::Updated { nickname, profile, at } = event {
            self.nickname.clone_from(nickname);
            self.profile.clone_from(profile);
            self.updated_at = *at;
        }
        self.wallet.apply(event);
    }
}
