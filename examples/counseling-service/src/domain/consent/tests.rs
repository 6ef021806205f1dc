//! Tests of consents: given, when, then.
use super::{Birthday, Consent, ConsentError, ConsentEvent, ConsentId, ConsentKind, ConsentPolicy};
use cqrs_core::{Timestamp, replay, testing::given};
use proptest::prelude::*;
use std::time::Duration;
use uuid::Uuid;

fn id() -> ConsentId {
    ConsentId { person: Uuid::from_u128(1).into(), kind: ConsentKind::SensitiveData }
}
fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}
fn now() -> Timestamp {
    at("2026-03-01T03:00:00Z")
}
fn policy(foreign_model: bool) -> ConsentPolicy {
    ConsentPolicy { text_version: "2".into(), foreign_model }
}
fn consented(version: &str) -> ConsentEvent {
    Consent::first(version.into(), now())
}
fn withdrawn() -> ConsentEvent {
    ConsentEvent::Withdrawn { at: now() }
}

#[test]
fn a_consent_in_force_is_given_and_withdrawn_once() {
    let give =
        |version: &'static str| move |consent: &Consent| Ok::<_, ConsentError>(consent.give(version.into(), now()));
    let withdraw = |consent: &Consent| Ok::<_, ConsentError>(consent.withdraw(now()));
    given::<Consent>(id(), [consented("2")]).when(give("2")).then([]);
    given::<Consent>(id(), [consented("1")]).when(give("2")).then([consented("2")]);
    given::<Consent>(id(), [consented("2"), withdrawn()]).when(give("2")).then([consented("2")]);
    given::<Consent>(id(), [consented("2")]).when(withdraw).then([withdrawn()]);
    given::<Consent>(id(), [consented("2"), withdrawn()]).when(withdraw).then([]);
}

#[test]
fn only_a_consent_in_force_to_the_current_text_counts() {
    let check = |events: &[ConsentEvent]| {
        let consent: Option<Consent> = replay(&id(), events);
        policy(false).check(ConsentKind::SensitiveData, consent.as_ref())
    };
    assert_eq!(check(&[consented("2")]), Ok(()));
    assert_eq!(check(&[consented("2"), withdrawn(), consented("2")]), Ok(()));
    for refused in [vec![], vec![consented("1")], vec![consented("2"), withdrawn()]] {
        assert_eq!(check(&refused), Err(ConsentError::SensitiveDataRequired), "{refused:?}");
    }
    assert_eq!(policy(true).check(ConsentKind::ForeignModel, None), Err(ConsentError::ForeignModelRequired));
    assert_eq!(policy(false).required(), [ConsentKind::SensitiveData]);
    assert_eq!(policy(true).required(), ConsentKind::ALL);
}

#[test]
fn the_age_is_that_of_the_day_in_seoul() {
    let accepts = |birthday: &str, at| policy(false).accepts("2", &Birthday::parse(birthday).unwrap(), at);
    // 15:00 UTC is midnight in Seoul.
    assert_eq!(accepts("2012-03-02", at("2026-03-01T14:59:59Z")), Err(ConsentError::UnderAge));
    assert_eq!(accepts("2012-03-02", at("2026-03-01T15:00:00Z")), Ok(()));
    assert_eq!(accepts("2012-02-29", at("2026-02-28T14:59:59Z")), Err(ConsentError::UnderAge));
    assert_eq!(accepts("2012-02-29", at("2026-02-28T15:00:00Z")), Ok(()));
    assert_eq!(accepts("2026-03-02", at("2026-03-01T14:59:59Z")), Err(ConsentError::Birthday), "tomorrow");
    assert_eq!(accepts("2026-03-01", now()), Err(ConsentError::UnderAge));
    let other = policy(false).accepts("1", &Birthday::parse("1990-01-01").unwrap(), now());
    assert_eq!(other, Err(ConsentError::TextVersion));
}

proptest! {
    /// The rule on texts is compared with one on numbers.
    #[test]
    fn a_person_is_of_age_from_the_fourteenth_birthday_on(days in 0u64..40_000, later in 0u64..20_000) {
        let day = Duration::from_secs(24 * 3600);
        let born = at("1900-01-01T00:00:00Z") + day * u32::try_from(days).unwrap();
        let today = born + day * u32::try_from(later).unwrap();
        let part = |at: Timestamp, format: &str| at.format(format).to_string().parse::<i32>().unwrap();
        let key = |at: Timestamp| (part(at, "%Y"), part(at, "%m"), part(at, "%d"));
        let (year, month, date) = key(born);
        let expected = if (year + 14, month, date) <= key(today) { Ok(()) } else { Err(ConsentError::UnderAge) };
        let birthday = Birthday::parse(&born.format("%Y-%m-%d").to_string()).unwrap();
        prop_assert_eq!(policy(false).accepts("2", &birthday, today), expected);
    }
}
