//! Holding, releasing, spending, and the time that passes between.
use super::{at, exchange, kim, registered, released, remaining, reserved, spent};
use crate::domain::user::{Allowance, HOLD, REMEMBERED, ResetInterval, User, UserError, UserEvent, Wallet};
use cqrs_core::testing::given;

const SIX_HOURS: u64 = 6 * 3600;

fn all_held() -> Vec<UserEvent> {
    [registered()].into_iter().chain((1..=7).map(|number| reserved(number, 1, 0))).collect()
}

#[test]
fn a_hold_is_one_less_for_others() {
    given::<User>([registered()]).when(|user| user.reserve(exchange(1), at(0))).then([reserved(1, 1, 0)]);
    assert_eq!(remaining(&[registered(), reserved(1, 1, 0)], 0), 6);
}
#[test]
fn what_is_held_is_not_held_again() {
    given::<User>([registered(), reserved(1, 1, 0)]).when(|user| user.reserve(exchange(1), at(59))).then([]);
}
#[test]
fn nothing_left_is_refused_but_not_to_those_who_hold() {
    given::<User>(all_held()).when(|user| user.reserve(exchange(8), at(1))).then_rejected(UserError::NoRemainingTokens);
    given::<User>(all_held()).when(|user| user.reserve(exchange(3), at(1))).then([]);
}
#[test]
fn a_hold_ends_after_a_minute() {
    assert_eq!(HOLD.as_secs(), 60);
    assert_eq!((remaining(&all_held(), 59), remaining(&all_held(), 60)), (0, 7));
    given::<User>(all_held()).when(|user| user.reserve(exchange(1), at(60))).then([reserved(1, 2, 60)]);
}
#[test]
fn what_was_released_is_held_again() {
    let past = [registered(), reserved(1, 1, 0), released(1, 1, 5)];
    assert_eq!(remaining(&past, 5), 7);
    given::<User>(past).when(|user| user.reserve(exchange(1), at(6))).then([reserved(1, 2, 6)]);
}
#[test]
fn a_late_release_does_not_touch_a_newer_hold() {
    let past = [registered(), reserved(1, 1, 0), reserved(1, 2, 60)];
    given::<User>(past.clone()).when(|user| Ok::<_, UserError>(user.release(exchange(1), 1, at(61)))).then([]);
    given::<User>(past)
        .when(|user| Ok::<_, UserError>(user.release(exchange(1), 2, at(61))))
        .then([released(1, 2, 61)]);
}
#[test]
fn only_a_hold_can_be_released() {
    let release = |user: &User| Ok::<_, UserError>(user.release(exchange(1), 9, at(61)));
    given::<User>([registered()]).when(release).then([]);
    given::<User>([registered(), reserved(1, 1, 0)]).when(release).then([]);
    given::<User>([registered(), reserved(1, 1, 60), spent(1, 6, 60)]).when(release).then([]);
}
#[test]
fn a_spent_hold_costs_one() {
    let past = [registered(), reserved(1, 1, 0)];
    given::<User>(past).when(|user| Ok::<_, UserError>(user.spend(exchange(1), at(20)))).then([spent(1, 6, 20)]);
    assert_eq!(remaining(&[registered(), reserved(1, 1, 0), spent(1, 6, 20)], 3600), 6);
}
#[test]
fn a_reply_costs_one_even_when_nothing_is_held() {
    given::<User>([registered()])
        .when(|user| Ok::<_, UserError>(user.spend(exchange(1), at(0))))
        .then([spent(1, 6, 0)]);
    // Too late for its hold, and others took the rest: nothing is left, and not less than nothing.
    let late: Vec<_> =
        all_held().into_iter().chain((1..=7).map(|it| spent(it, 0, 1))).chain([spent(8, 0, 2)]).collect();
    assert_eq!(remaining(&late, 3), 0);
}
#[test]
fn what_is_spent_is_neither_spent_nor_held_again() {
    let past = [registered(), reserved(1, 1, 0), spent(1, 6, 1)];
    given::<User>(past.clone()).when(|user| Ok::<_, UserError>(user.spend(exchange(1), at(2)))).then([]);
    given::<User>(past).when(|user| user.reserve(exchange(1), at(90))).then([]);
}
#[test]
fn six_hours_after_the_last_reset_it_is_full_again() {
    let past: Vec<_> = [registered()].into_iter().chain((1..=7).map(|it| spent(it, 7 - u32::from(it), 10))).collect();
    assert_eq!((remaining(&past, SIX_HOURS - 1), remaining(&past, SIX_HOURS)), (0, 7));
    given::<User>(past).when(|user| user.reserve(exchange(9), at(SIX_HOURS))).then([reserved(9, 1, SIX_HOURS)]);
}
#[test]
fn a_reset_leaves_what_is_held() {
    let past = [registered(), spent(1, 6, 0), reserved(2, 1, SIX_HOURS - 10)];
    assert_eq!(remaining(&past, SIX_HOURS), 6);
}
#[test]
fn the_next_six_hours_begin_with_what_happens_next() {
    let past = [registered(), spent(1, 6, 0), spent(2, 6, SIX_HOURS + 100)];
    let user = cqrs_core::replay::<User, _>(&past).unwrap();
    assert_eq!(user.wallet().balance(at(SIX_HOURS + 200)).resets_at, Some(at(2 * SIX_HOURS + 100)));
    assert_eq!(remaining(&past, 2 * SIX_HOURS + 99), 6);
}
#[test]
fn hours_and_days_begin_where_the_calendar_says() {
    let next = |interval: ResetInterval| interval.after(at(0)).to_rfc3339();
    assert_eq!(next(ResetInterval::Hourly), "2026-03-01T13:00:00+00:00");
    assert_eq!(next(ResetInterval::Daily), "2026-03-02T00:00:00+00:00");
    assert_eq!(next(ResetInterval::SixHours), "2026-03-01T18:30:00+00:00");
    let midnight = "2026-03-01T00:00:00Z".parse().unwrap();
    assert_eq!(ResetInterval::Daily.after(midnight).to_rfc3339(), "2026-03-02T00:00:00+00:00");
}
#[test]
fn a_full_wallet_has_nothing_to_wait_for() {
    let wallet = Wallet::new(Allowance::ANONYMOUS, at(0));
    let balance = wallet.balance(at(0));
    assert_eq!((balance.remaining, balance.held_until, balance.resets_at), (7, None, None));
}
#[test]
fn what_is_old_is_forgotten() {
    let day = REMEMBERED.as_secs();
    let past = [registered(), spent(1, 6, 0), reserved(2, 1, day)];
    let user = cqrs_core::replay::<User, _>(&past).unwrap();
    let stored = serde_json::to_string(user.wallet()).unwrap();
    assert!(!stored.contains(&exchange(1).to_string()) && stored.contains(&exchange(2).to_string()));
    assert_eq!(user.wallet().holds(exchange(2), at(day)), Some(1));
    assert_eq!(kim(), past[0].id());
}
