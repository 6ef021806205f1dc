//! The number of calls to a language model that a process may make in a day.
#[cfg(test)]
mod tests;

use cqrs_core::Timestamp;
use std::time::Duration;

/// The difference between the time of Seoul and UTC, all year round.
const SEOUL: Duration = Duration::from_secs(9 * 3600);
const DAY: i64 = 24 * 3600;

/// The calls that were made on one calendar day of Seoul. Every attempt counts, not only those that succeed.
///
/// ```
/// use counseling_service::domain::model_budget::CallsOfDay;
///
/// let now = "2026-03-01T14:59:59Z".parse().unwrap();
/// let one = CallsOfDay::default().after_call(1, now).unwrap();
/// assert_eq!(one.after_call(1, now), None);
/// assert!(one.after_call(1, "2026-03-01T15:00:00Z".parse().unwrap()).is_some(), "the next day");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallsOfDay {
    day: i64,
    calls: u32,
}
impl CallsOfDay {
    /// Returns the calls after another one, or `None` when it would exceed the daily limit.
    pub fn after_call(self, limit: u32, now: Timestamp) -> Option<Self> {
        // A clock that is set back does not begin the day again.
        let day = (now + SEOUL).timestamp().div_euclid(DAY).max(self.day);
        let before = if day == self.day { self.calls } else { 0 };
        (before < limit).then(|| CallsOfDay { day, calls: before + 1 })
    }
}
