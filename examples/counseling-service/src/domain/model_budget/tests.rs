//! Tests of the number of calls in a day.
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
