//! Activities of people, for statistics.
//!
//! An activity is kept for a year: its event says until when ([`ActivityRecorded::kept_until`]). It is in no view and no
//! integration event, and no RPC reads it, so the event is its only copy. The framework never removes events. A reader of
//! the statistics therefore has to leave out the activities whose time has passed, until events can be removed.
mod error;
mod kind;
#[cfg(test)]
mod tests;

pub use error::ActivityError;
pub use kind::{ActivityKind, Platform};

use super::user::UserId;
use cqrs_core::{
    Aggregate, Event, Evolve, Timestamp,
    serde_json::{self, Map, Value},
};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, time::Duration};
use visible_text::is_invisible;

cqrs_core::id!(
    /// Identifies an activity.
    pub ActivityId
);

/// The time for which an activity is kept.
pub const KEPT: Duration = Duration::from_secs(365 * 24 * 3600);
/// The size of an activity's data as JSON, in bytes.
pub const LARGEST_DATA: usize = 8 * 1024;
/// The length of a client's name, in characters.
pub const LONGEST_USER_AGENT: usize = 512;

/// Something that a person did. It never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "activity", event = ActivityRecorded)]
pub struct Activity {
    #[id]
    id: ActivityId,
    recorded: ActivityRecorded,
}

/// An activity was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "activity.recorded", version = 1)]
pub struct ActivityRecorded {
    pub user: UserId,
    pub details: ActivityDetails,
    pub at: Timestamp,
    /// The end of the retention.
    pub kept_until: Timestamp,
}

/// The details of an activity, as the client gives them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActivityDetails {
    pub kind: ActivityKind,
    pub data: ActivityData,
    pub platform: Option<Platform>,
    pub ip_address: Option<IpAddr>,
    pub user_agent: Option<UserAgent>,
    pub seconds: Seconds,
}

impl Activity {
    /// Records an activity.
    pub fn record(user: UserId, details: ActivityDetails, now: Timestamp) -> ActivityRecorded {
        ActivityRecorded { user, details, at: now, kept_until: now + KEPT }
    }
    pub fn recorded(&self) -> &ActivityRecorded {
        &self.recorded
    }
}
impl Evolve<ActivityRecorded> for Activity {
    fn create(id: ActivityId, event: &ActivityRecorded) -> Option<Self> {
        Some(Activity { id, recorded: event.clone() })
    }
    fn apply(&mut self, _: &ActivityRecorded) {}
}

/// The data of an activity: a JSON object of bounded size. Its `Debug` output does not contain them, because they may be
/// personal.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ActivityData(Map<String, Value>);
impl ActivityData {
    /// Checks the size of the object.
    ///
    /// # Errors
    /// Fails when the object is too large.
    pub fn parse(object: Map<String, Value>) -> Result<Self, ActivityError> {
        let size = serde_json::to_vec(&object).map_err(|_| ActivityError::ActivityData)?.len();
        if size <= LARGEST_DATA { Ok(ActivityData(object)) } else { Err(ActivityError::ActivityData) }
    }
    pub fn object(&self) -> &Map<String, Value> {
        &self.0
    }
}
impl fmt::Debug for ActivityData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActivityData({} fields)", self.0.len())
    }
}

/// The name of the client, as browsers send it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserAgent(String);
impl UserAgent {
    /// Validates the name.
    ///
    /// # Errors
    /// Fails when the name is too long or has invisible characters.
    pub fn parse(text: &str) -> Result<Self, ActivityError> {
        let fits = text.chars().count() <= LONGEST_USER_AGENT && !text.contains(is_invisible);
        fits.then(|| UserAgent(text.to_owned())).ok_or(ActivityError::UserAgent)
    }
}
impl fmt::Display for UserAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The duration of an activity in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seconds(u32);
impl Seconds {
    /// Validates the number.
    ///
    /// # Errors
    /// Fails when the number is negative.
    pub fn parse(number: i32) -> Result<Self, ActivityError> {
        u32::try_from(number).map(Seconds).map_err(|_| ActivityError::DurationSeconds)
    }
    /// Returns the number, which is never negative.
    pub fn get(self) -> u32 {
        self.0
    }
}
