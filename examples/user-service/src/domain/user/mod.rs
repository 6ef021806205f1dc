//! A person and their profile. A person exists from the first visit on, before any login.
mod edit;
mod error;
mod event;
mod nickname;
mod profile;
#[cfg(test)]
mod tests;
mod tracking;

pub use edit::{Edit, ProfileEdit, UserEdit};
pub use error::UserError;
pub use event::UserEvent;
pub use nickname::{Nickname, NicknameKey};
pub use profile::{Birthday, Gender, ImageUrl, Introduction, Mbti, PhoneNumber, Profile};
pub use tracking::Tracking;

use cqrs_core::{Aggregate, Evolve, Timestamp};
use serde::{Deserialize, Serialize};

cqrs_core::id!(
    /// Identifies a person.
    pub UserId
);

/// A person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "user", event = UserEvent)]
pub struct User {
    #[id]
    id: UserId,
    /// The form in which nicknames are compared.
    #[unique]
    nickname: NicknameKey,
    chosen: Nickname,
    profile: Profile,
    tracking: Option<Tracking>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl User {
    /// Registers a person on the first visit.
    pub fn register(nickname: Nickname, now: Timestamp) -> UserEvent {
        UserEvent::Registered { nickname, at: now }
    }
    /// Changes the profile. An edit that changes nothing produces no event. A birthday after today is refused.
    pub fn update(&self, edit: UserEdit, now: Timestamp) -> Result<Option<UserEvent>, UserError> {
        if edit.is_empty() {
            return Err(UserError::NothingToUpdate);
        }
        let nickname = edit.nickname.unwrap_or_else(|| self.chosen.clone());
        let profile = edit.profile.of(&self.profile);
        if profile.birthday.as_ref().is_some_and(|birthday| birthday.is_after(now)) {
            return Err(UserError::Birthday);
        }
        let changed = nickname != self.chosen || profile != self.profile;
        Ok(changed.then_some(UserEvent::Updated { nickname, profile, at: now }))
    }
    /// Records the parts of the app that the person has seen. Produces no event when it is recorded already.
    pub fn track(&self, has_seen_intro_cutscene: bool, now: Timestamp) -> Option<UserEvent> {
        let known = self.tracking.is_some_and(|tracking| tracking.has_seen_intro_cutscene == has_seen_intro_cutscene);
        (!known).then_some(UserEvent::Tracked { has_seen_intro_cutscene, at: now })
    }

    pub fn nickname(&self) -> &Nickname {
        &self.chosen
    }
    pub fn profile(&self) -> &Profile {
        &self.profile
    }
    /// Returns the parts of the app that the person has seen, once they are recorded.
    pub fn tracking(&self) -> Option<Tracking> {
        self.tracking
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
        let UserEvent::Registered { nickname, at } = event.clone() else { return None };
        let profile = Profile::default();
        let key = nickname.key();
        Some(User { id, nickname: key, chosen: nickname, profile, tracking: None, created_at: at, updated_at: at })
    }

    fn apply(&mut self, event: &UserEvent) {
        match event {
            UserEvent::Registered { .. } => (),
            UserEvent::Updated { nickname, profile, at } => {
                self.nickname = nickname.key();
                self.chosen.clone_from(nickname);
                self.profile.clone_from(profile);
                self.updated_at = *at;
            }
            UserEvent::Tracked { has_seen_intro_cutscene, at } => {
                self.tracking = Some(Tracking::after(self.tracking, *has_seen_intro_cutscene, *at));
            }
        }
    }
}
