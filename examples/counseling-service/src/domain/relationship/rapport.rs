//! The rules of rapport: the worth of an interaction, and the limit of a day.
use cqrs_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The largest rise of rapport on one day.
pub const DAILY_LIMIT: u32 = 20;

/// Korea's difference from UTC. Days are calendar days in Asia/Seoul, which has no summer time.
const SEOUL: Duration = Duration::from_secs(9 * 60 * 60);
const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;

/// An interaction of a person with a counsellor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interaction {
    /// The person sent a message.
    Message,
    /// The person finished a task.
    TaskCompleted,
    /// The person stayed in a session for this long.
    Session(Duration),
}
impl Interaction {
    /// Returns the rise of rapport before the limit of the day.
    pub fn worth(self) -> u32 {
        const LONG: Duration = Duration::from_secs(30 * 60);
        const SHORT: Duration = Duration::from_secs(10 * 60);
        match self {
            Interaction::Message => 1,
            Interaction::TaskCompleted => 6,
            Interaction::Session(time) if time >= LONG => 5,
            Interaction::Session(time) if time >= SHORT => 2,
            Interaction::Session(_) => 0,
        }
    }
}

/// The rise of rapport on the current day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DailyRise {
    /// The number of the day in Asia/Seoul since 1970.
    day: i64,
    risen: u32,
}
impl DailyRise {
    /// Returns the rise of the day of this time, before its first interaction.
    pub fn none(at: Timestamp) -> Self {
        DailyRise { day: day(at), risen: 0 }
    }
    /// Adds an interaction and returns the rise of rapport with the new state of the day. A new day begins at zero, also
    /// when the day before has reached the limit. An interaction that is handled after a later day has begun counts on
    /// that later day.
    pub fn add(self, interaction: Interaction, at: Timestamp) -> (u32, Self) {
        let today = if day(at) > self.day { DailyRise::none(at) } else { self };
        let rise = interaction.worth().min(DAILY_LIMIT.saturating_sub(today.risen));
        (rise, DailyRise { risen: today.risen + rise, ..today })
    }
}

/// Returns the number of the calendar day in Asia/Seoul.
fn day(at: Timestamp) -> i64 {
    (at + SEOUL).timestamp().div_euclid(SECONDS_OF_A_DAY)
}
