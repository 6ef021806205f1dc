//! The number of calls to a language model that a process may make in a day.
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

#[cfg(test)]
mod tests {
    use super::{CallsOfDay, DAY, SEOUL};
    use cqrs_core::Timestamp;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn no_day_has_more_calls_than_the_limit(limit in 0u32..5, mut times in proptest::collection::vec(0i64..4 * DAY, 0..60)) {
            times.sort_unstable();
            let (mut calls, mut accepted) = (CallsOfDay::default(), BTreeMap::<i64, u32>::new());
            for time in times {
                let now = Timestamp::from_timestamp(1_770_000_000 + time, 0).unwrap();
                let of_day = accepted.entry((now + SEOUL).timestamp().div_euclid(DAY)).or_default();
                let after = calls.after_call(limit, now);
                prop_assert_eq!(after.is_some(), *of_day < limit);
                if let Some(after) = after {
                    calls = after;
                    *of_day += 1;
                }
            }
        }
    }
    #[test]
    fn a_clock_that_is_set_back_does_not_begin_the_day_again() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let used_up = CallsOfDay::default().after_call(1, at("2026-03-02T00:00:00Z")).unwrap();
        assert_eq!(used_up.after_call(1, at("2026-03-01T00:00:00Z")), None);
    }
}
