//! Who somebody is.
use crate::domain::user::{Nickname, Profile, User, UserEvent, UserId};
use cqrs_core::{Aggregate, Change, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// A person, as they are shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "user-card", key = UserId)]
#[allow(missing_docs, reason = "User's fields, and its words")]
pub struct UserCard {
    pub id: UserId,
    pub nickname: Nickname,
    pub profile: Profile,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
impl UserCard {
    /// The card that will be found once the view has seen this.
    pub fn of(user: &User) -> Self {
        UserCard {
            id: *user.id(),
            nickname: user.nickname().clone(),
            profile: user.profile().clone(),
            created_at: user.created_at(),
            updated_at: user.updated_at(),
        }
    }
}

#[projection(name = "user-card")]
fn user_card(event: &UserEvent) -> Change<UserCard> {
    match event.clone() {
        UserEvent::Registered { id, nickname, at, .. } => {
            UserCard { id, nickname, profile: Profile::default(), created_at: at, updated_at: at }.put(id)
        }
        UserEvent::Updated { id, nickname, profile, at } => UserCard::update(id, move |card| {
            *card = UserCard { nickname, profile, updated_at: at, ..card.clone() };
        }),
        UserEvent::TokensReserved { .. } | UserEvent::TokensReleased { .. } | UserEvent::TokensSpent { .. } => {
            Change::none()
        }
    }
}
