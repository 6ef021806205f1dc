//! The parts of the app that a person has seen.
use cqrs_core::Timestamp;
use serde::{Deserialize, Serialize};

/// The parts of the app that a person has seen, with the times of the first and the last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracking {
    pub has_seen_intro_cutscene: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
impl Tracking {
    /// Returns the next state after a change at this time; both the aggregate and the view change only through it.
    pub fn after(before: Option<Tracking>, has_seen_intro_cutscene: bool, at: Timestamp) -> Tracking {
        let created_at = before.map_or(at, |tracking| tracking.created_at);
        Tracking { has_seen_intro_cutscene, created_at, updated_at: at }
    }
}
