//! The view of a person's profile.
use crate::domain::user::{Nickname, NicknameKey, Profile, User, UserEvent, UserId};
use cqrs_core::{Aggregate, Change, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// A person's profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "user-summary", key = UserId)]
#[index(by_nickname(nickname_key))]
pub struct UserSummary {
    pub id: UserId,
    pub nickname: Nickname,
    /// The form in which nicknames are compared.
    pub nickname_key: NicknameKey,
    pub profile: Profile,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
impl UserSummary {
    /// Builds the summary from the aggregate, for a command's result: the view catches up later.
    pub fn of(user: &User) -> Self {
        UserSummary {
            id: *user.id(),
            nickname: user.nickname().clone(),
            nickname_key: user.nickname().key(),
            profile: user.profile().clone(),
            created_at: user.created_at(),
            updated_at: user.updated_at(),
        }
    }
}

#[projection(name = "user-summary")]
fn user_summary(event: &Recorded<UserEvent>) -> Change<UserSummary> {
    let id = event.aggregate_id;
    match event.event.clone() {
        UserEvent::Registered { nickname, at } => {
            let (nickname_key, profile) = (nickname.key(), Profile::default());
            UserSummary { id, nickname, nickname_key, profile, created_at: at, updated_at: at }.put(id)
        }
        UserEvent::Updated { nickname, profile, at } => UserSummary::update(id, move |summary| {
            let nickname_key = nickname.key();
            *summary = UserSummary { nickname, nickname_key, profile, updated_at: at, ..summary.clone() };
        }),
        // The profile shows nothing of it.
        UserEvent::Tracked { .. } => Change::none(),
    }
}
