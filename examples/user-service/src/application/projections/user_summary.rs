//! The view of a person's profile.
use crate::domain::user::{Nickname, Profile, User, UserEvent, UserId};
use cqrs_core::{Aggregate, Change, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// A person's profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "user-summary", key = UserId)]
pub struct UserSummary {
    pub id: UserId,
    pub nickname: Nickname,
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
        UserEvent::Registered { nickname, at, .. } => {
            UserSummary { id, nickname, profile: Profile::default(), created_at: at, updated_at: at }.put(id)
        }
        UserEvent::Updated { nickname, profile, at } => UserSummary::update(id, move |summary| {
            *summary = UserSummary { nickname, profile, updated_at: at, ..summary.clone() };
        }),
        // The profile shows nothing of the other events.
        _ => Change::none(),
    }
}
