//! The events of a person.
use super::{Nickname, Profile};
use cqrs_core::{Event, Timestamp};
use serde::{Deserialize, Serialize};

/// The events of a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "user", version = 1)]
pub enum UserEvent {
    /// The person was registered on the first visit.
    Registered { nickname: Nickname, at: Timestamp },
    /// The profile was changed; the event has all fields.
    Updated { nickname: Nickname, profile: Profile, at: Timestamp },
    /// The parts of the app that the person has seen were recorded.
    Tracked { has_seen_intro_cutscene: bool, at: Timestamp },
}
