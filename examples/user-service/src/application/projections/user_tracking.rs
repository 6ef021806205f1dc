//! The view of the parts of the app that a person has seen. A person without records has no value.
use crate::domain::user::{Tracking, UserEvent, UserId};
use cqrs_core::{Change, Recorded, View, projection};
use serde::{Deserialize, Serialize};

/// The parts of the app that a person has seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "user-tracking", key = UserId)]
pub struct UserTracking(pub Tracking);

#[projection(name = "user-tracking")]
fn user_tracking(event: &Recorded<UserEvent>) -> Change<UserTracking> {
    let UserEvent::Tracked { has_seen_intro_cutscene: seen, at } = event.event else { return Change::none() };
    Change::none().and(event.aggregate_id, move |found: Option<UserTracking>| {
        Some(UserTracking(Tracking::after(found.map(|UserTracking(tracking)| tracking), seen, at)))
    })
}
