//! Tests of rapport: examples of days and limits, and properties that hold for all messages.
use super::{DAILY_LIMIT, DailyRise, Interaction, Relationship, RelationshipEvent, RelationshipId};
use cqrs_core::{Evolve, Timestamp, replay};
use proptest::prelude::*;
use std::time::Duration;
use uuid::Uuid;

fn id<T: From<Uuid>>(number: u128) -> T {
    Uuid::from_u128(number).into()
}
fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}
fn started(at: Timestamp) -> Relationship {
    replay(&id(3), &[Relationship::start(id(1), id(2), at)]).unwrap()
}
fn send(relationship: &mut Relationship, at: Timestamp) -> u32 {
    let event = relationship.count_message(at);
    relationship.apply(&event);
    let RelationshipEvent::MessageCounted { rise, .. } = event else { panic!("{event:?}") };
    rise
}
fn send_times(times: u32, relationship: &mut Relationship, at: Timestamp) {
    for _ in 0..times {
        send(relationship, at);
    }
}

#[test]
fn each_message_raises_rapport_by_one_up_to_twenty_a_day() {
    let noon = time("2026-03-01T03:00:00Z");
    let mut relationship = started(noon);
    let rises: Vec<_> = (0..25).map(|second| send(&mut relationship, noon + Duration::from_secs(second))).collect();
    assert_eq!(rises, [vec![1; 20], vec![0; 5]].concat());
    assert_eq!((relationship.rapport(), relationship.messages()), (20, 25), "messages above the limit are counted too");
}

#[test]
fn defect_09_rapport_rises_again_on_the_day_after_the_limit() {
    let noon = time("2026-03-01T03:00:00Z");
    let mut relationship = started(noon);
    send_times(30, &mut relationship, noon);
    assert_eq!(send(&mut relationship, time("2026-03-02T03:00:00Z")), 1);
    assert_eq!((relationship.rapport(), relationship.messages()), (21, 31));
    send_times(30, &mut relationship, time("2026-03-02T04:00:00Z"));
    assert_eq!(send(&mut relationship, time("2026-03-09T03:00:00Z")), 1, "also after some days without a message");
    assert_eq!(relationship.rapport(), 41);
}

#[test]
fn a_day_ends_at_midnight_in_seoul() {
    let (before, after) = (time("2026-03-01T14:59:59Z"), time("2026-03-01T15:00:00Z"));
    let mut relationship = started(before);
    send_times(20, &mut relationship, before);
    assert_eq!(send(&mut relationship, before), 0);
    assert_eq!(send(&mut relationship, after), 1);
    // Midnight in UTC is no end of a day.
    let mut relationship = started(time("2026-03-01T23:59:59Z"));
    send_times(20, &mut relationship, time("2026-03-01T23:59:59Z"));
    assert_eq!(send(&mut relationship, time("2026-03-02T00:00:00Z")), 0);
}

#[test]
fn a_message_that_is_handled_late_does_not_begin_its_day_again() {
    let (first, second) = (time("2026-03-01T03:00:00Z"), time("2026-03-02T03:00:00Z"));
    let mut relationship = started(first);
    send_times(20, &mut relationship, first);
    send_times(20, &mut relationship, second);
    assert_eq!(send(&mut relationship, first), 0);
    assert_eq!(send(&mut relationship, second), 0);
}

#[test]
fn interactions_are_worth_what_the_specification_says() {
    let minutes = |minutes: u64| Interaction::Session(Duration::from_secs(minutes * 60));
    let worth = [minutes(9), minutes(10), minutes(29), minutes(30), Interaction::Message, Interaction::TaskCompleted];
    assert_eq!(worth.map(Interaction::worth), [0, 2, 2, 5, 1, 6]);
}

#[test]
fn the_id_belongs_to_the_pair() {
    let of = |user, counselor| RelationshipId::of(id(user), id(counselor));
    assert_eq!(of(1, 2), of(1, 2));
    assert!(of(1, 2) != of(2, 1) && of(1, 2) != of(1, 3));
}

fn interaction() -> impl Strategy<Value = Interaction> {
    prop_oneof![
        4 => Just(Interaction::Message),
        1 => Just(Interaction::TaskCompleted),
        1 => (0..3600u64).prop_map(|seconds| Interaction::Session(Duration::from_secs(seconds))),
    ]
}

proptest! {
    #[test]
    fn rapport_never_falls_and_rises_by_twenty_a_day_at_most(
        gaps in prop::collection::vec((0..100_000u64, interaction()), 1..200),
    ) {
        let mut at = time("2026-03-01T00:00:00Z");
        let mut today = DailyRise::none(at);
        let mut of_day = std::collections::BTreeMap::<i64, u32>::new();
        for (gap, interaction) in gaps {
            at += Duration::from_secs(gap);
            let (rise, next) = today.add(interaction, at);
            prop_assert!(rise <= interaction.worth());
            *of_day.entry((at.timestamp() + 9 * 3600).div_euclid(86_400)).or_default() += rise;
            today = next;
        }
        prop_assert!(of_day.values().all(|rise| *rise <= DAILY_LIMIT), "{of_day:?}");
    }

    #[test]
    fn a_day_rises_by_the_sum_of_its_interactions_until_the_limit(
        interactions in prop::collection::vec((0..86_400u64, interaction()), 0..60).prop_shuffle(),
    ) {
        // From midnight to midnight in Seoul; the times need not ascend.
        let midnight = time("2026-02-28T15:00:00Z");
        let mut today = DailyRise::none(midnight);
        let mut total = 0;
        for (second, interaction) in &interactions {
            let (rise, next) = today.add(*interaction, midnight + Duration::from_secs(*second));
            (total, today) = (total + rise, next);
        }
        let worth: u32 = interactions.iter().map(|(_, interaction)| interaction.worth()).sum();
        prop_assert_eq!(total, worth.min(DAILY_LIMIT), "whatever their order");
    }

    #[test]
    fn every_message_is_counted_whatever_its_time(seconds in prop::collection::vec(0..1_000_000u64, 1..100)) {
        let begin = time("2026-03-01T00:00:00Z");
        let mut relationship = started(begin);
        let mut before = 0;
        for (second, number) in seconds.iter().zip(1..) {
            send(&mut relationship, begin + Duration::from_secs(*second));
            prop_assert!(relationship.rapport() >= before);
            prop_assert_eq!(relationship.messages(), number);
            before = relationship.rapport();
        }
        prop_assert!(before <= DAILY_LIMIT * 13, "a million seconds touch thirteen days at most");
    }
}
