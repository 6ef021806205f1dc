//! Tests of the wallet: given, when, then; and properties that hold for any order of events.
use super::{Allowance, HOLD, REMEMBERED, REMEMBERED_MOST, ResetInterval, Wallet};
use crate::domain::user::{
    User, UserError, UserEvent,
    tests::{at, exchange, kim, registered},
};
use cqrs_core::{Evolve, replay, testing::given};
use proptest::prelude::{ProptestConfig, Strategy, prop, prop_oneof, proptest};

fn reserved(number: u8, attempt: u32, seconds: u64) -> UserEvent {
    UserEvent::TokensReserved { exchange: exchange(number), attempt, at: at(seconds) }
}
fn released(number: u8, attempt: u32, seconds: u64) -> UserEvent {
    UserEvent::TokensReleased { exchange: exchange(number), attempt, at: at(seconds) }
}
fn consumed(number: u8, remaining: u32, seconds: u64) -> UserEvent {
    UserEvent::TokensConsumed { exchange: exchange(number), remaining, max: 7, at: at(seconds) }
}
/// Returns the balance of Kim's wallet after these events.
fn remaining(events: &[UserEvent], seconds: u64) -> u32 {
    replay::<User, _>(&kim(), events).unwrap().wallet().balance(at(seconds)).remaining
}

const SIX_HOURS: u64 = 6 * 3600;

fn all_held() -> Vec<UserEvent> {
    [registered()].into_iter().chain((1..=7).map(|number| reserved(number, 1, 0))).collect()
}

#[test]
fn a_hold_reduces_the_balance() {
    given::<User>(kim(), [registered()]).when(|user| user.reserve(exchange(1), at(0))).then([reserved(1, 1, 0)]);
    assert_eq!(remaining(&[registered(), reserved(1, 1, 0)], 0), 6);
}
#[test]
fn a_repeated_reservation_changes_nothing() {
    given::<User>(kim(), [registered(), reserved(1, 1, 0)]).when(|user| user.reserve(exchange(1), at(59))).then([]);
}
#[test]
fn an_empty_wallet_refuses_a_new_exchange_but_not_a_held_one() {
    given::<User>(kim(), all_held())
        .when(|user| user.reserve(exchange(8), at(1)))
        .then_rejected(UserError::NoRemainingTokens);
    given::<User>(kim(), all_held()).when(|user| user.reserve(exchange(3), at(1))).then([]);
}
#[test]
fn a_hold_ends_after_a_minute() {
    assert_eq!(HOLD.as_secs(), 60);
    assert_eq!((remaining(&all_held(), 59), remaining(&all_held(), 60)), (0, 7));
    given::<User>(kim(), all_held()).when(|user| user.reserve(exchange(1), at(60))).then([reserved(1, 2, 60)]);
}
#[test]
fn a_released_token_can_be_held_again() {
    let past = [registered(), reserved(1, 1, 0), released(1, 1, 5)];
    assert_eq!(remaining(&past, 5), 7);
    given::<User>(kim(), past).when(|user| user.reserve(exchange(1), at(6))).then([reserved(1, 2, 6)]);
}
#[test]
fn a_late_release_does_not_affect_a_newer_hold() {
    let past = [registered(), reserved(1, 1, 0), reserved(1, 2, 60)];
    given::<User>(kim(), past.clone()).when(|user| Ok::<_, UserError>(user.release(exchange(1), 1, at(61)))).then([]);
    given::<User>(kim(), past)
        .when(|user| Ok::<_, UserError>(user.release(exchange(1), 2, at(61))))
        .then([released(1, 2, 61)]);
}
#[test]
fn only_a_hold_can_be_released() {
    let release = |user: &User| Ok::<_, UserError>(user.release(exchange(1), 9, at(61)));
    given::<User>(kim(), [registered()]).when(release).then([]);
    given::<User>(kim(), [registered(), reserved(1, 1, 0)]).when(release).then([]);
    given::<User>(kim(), [registered(), reserved(1, 1, 60), consumed(1, 6, 60)]).when(release).then([]);
}
#[test]
fn a_held_token_is_consumed_once() {
    let past = [registered(), reserved(1, 1, 0)];
    given::<User>(kim(), past)
        .when(|user| Ok::<_, UserError>(user.consume(exchange(1), at(20))))
        .then([consumed(1, 6, 20)]);
    assert_eq!(remaining(&[registered(), reserved(1, 1, 0), consumed(1, 6, 20)], 3600), 6);
}
#[test]
fn a_reply_consumes_a_token_that_is_not_held() {
    given::<User>(kim(), [registered()])
        .when(|user| Ok::<_, UserError>(user.consume(exchange(1), at(0))))
        .then([consumed(1, 6, 0)]);
    // The reply came after its hold had expired and others had taken the rest: the balance is zero, not negative.
    let late: Vec<_> =
        all_held().into_iter().chain((1..=7).map(|number| consumed(number, 0, 1))).chain([consumed(8, 0, 2)]).collect();
    assert_eq!(remaining(&late, 3), 0);
}
#[test]
fn a_consumed_exchange_is_neither_consumed_nor_held_again() {
    let past = [registered(), reserved(1, 1, 0), consumed(1, 6, 1)];
    given::<User>(kim(), past.clone()).when(|user| Ok::<_, UserError>(user.consume(exchange(1), at(2)))).then([]);
    given::<User>(kim(), past).when(|user| user.reserve(exchange(1), at(90))).then([]);
}
#[test]
fn the_wallet_is_full_again_six_hours_after_the_last_reset() {
    let past: Vec<_> =
        [registered()].into_iter().chain((1..=7).map(|number| consumed(number, 7 - u32::from(number), 10))).collect();
    assert_eq!((remaining(&past, SIX_HOURS - 1), remaining(&past, SIX_HOURS)), (0, 7));
    given::<User>(kim(), past).when(|user| user.reserve(exchange(9), at(SIX_HOURS))).then([reserved(9, 1, SIX_HOURS)]);
}
#[test]
fn a_reset_keeps_held_tokens() {
    let past = [registered(), consumed(1, 6, 0), reserved(2, 1, SIX_HOURS - 10)];
    assert_eq!(remaining(&past, SIX_HOURS), 6);
}
#[test]
fn the_next_interval_starts_with_the_next_event() {
    let past = [registered(), consumed(1, 6, 0), consumed(2, 6, SIX_HOURS + 100)];
    let user = replay::<User, _>(&kim(), &past).unwrap();
    assert_eq!(user.wallet().balance(at(SIX_HOURS + 200)).resets_at, Some(at(2 * SIX_HOURS + 100)));
    assert_eq!(remaining(&past, 2 * SIX_HOURS + 99), 6);
}
#[test]
fn hourly_and_daily_resets_follow_the_calendar() {
    let next = |interval: ResetInterval| interval.after(at(0)).to_rfc3339();
    assert_eq!(next(ResetInterval::Hourly), "2026-03-01T13:00:00+00:00");
    assert_eq!(next(ResetInterval::Daily), "2026-03-02T00:00:00+00:00");
    assert_eq!(next(ResetInterval::SixHours), "2026-03-01T18:30:00+00:00");
    let midnight = "2026-03-01T00:00:00Z".parse().unwrap();
    assert_eq!(ResetInterval::Daily.after(midnight).to_rfc3339(), "2026-03-02T00:00:00+00:00");
}
#[test]
fn a_full_wallet_has_no_reset_time() {
    let wallet = Wallet::new(Allowance::ANONYMOUS, at(0));
    let balance = wallet.balance(at(0));
    assert_eq!((balance.remaining, balance.held_until, balance.resets_at), (7, None, None));
}
#[test]
fn old_exchanges_are_dropped() {
    let day = REMEMBERED.as_secs();
    let past = [registered(), consumed(1, 6, 0), reserved(2, 1, day)];
    let user = replay::<User, _>(&kim(), &past).unwrap();
    let stored = serde_json::to_string(user.wallet()).unwrap();
    assert!(!stored.contains(&exchange(1).to_string()) && stored.contains(&exchange(2).to_string()));
    assert_eq!(user.wallet().holds(exchange(2), at(day)), Some(1));
}

#[derive(Debug, Clone)]
enum Step {
    Reserve(u8),
    Release(u8, u32),
    Consume(u8),
    Wait(u64),
}
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = 0u8..12;
    let step = prop_oneof![
        4 => id.clone().prop_map(Step::Reserve),
        2 => (id.clone(), 1u32..4).prop_map(|(id, attempt)| Step::Release(id, attempt)),
        2 => id.prop_map(Step::Consume),
        1 => (0u64..100).prop_map(Step::Wait),
        1 => (0u64..30_000).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_balance_follows_the_rules_for_any_order_of_events(steps in steps()) {
        let first = registered();
        let mut user = replay::<User, _>(&kim(), [&first]).unwrap();
        let UserEvent::Registered { allowance, at: since, .. } = first else { unreachable!() };
        let mut view = Wallet::new(allowance, since);
        let mut now = 0;
        let mut consumed = std::collections::BTreeSet::new();
        for step in steps {
            let before = user.wallet().balance(at(now));
            let decision = match step {
                Step::Wait(seconds) => { now += seconds; None }
                Step::Reserve(id) => {
                    let held = user.wallet().holds(exchange(id), at(now));
                    let decided = user.reserve(exchange(id), at(now));
                    match &decided {
                        Ok(Some(_)) => assert!(before.remaining > 0 && held.is_none()),
                        Ok(None) => assert!(held.is_some() || consumed.contains(&id)),
                        Err(_) => assert!(before.remaining == 0 && held.is_none()),
                    }
                    decided.unwrap_or_default()
                }
                Step::Release(id, attempt) => {
                    let held = user.wallet().holds(exchange(id), at(now));
                    let decided = user.release(exchange(id), attempt, at(now));
                    assert_eq!(decided.is_some(), held.is_some_and(|held| attempt >= held));
                    decided
                }
                Step::Consume(id) => {
                    let decided = user.consume(exchange(id), at(now));
                    // The wallet drops an exchange only after a day; `PaidExchange` is permanent.
                    assert!(decided.is_none() || consumed.insert(id) || now > 24 * 3600);
                    decided
                }
            };
            if let Some(event) = decision {
                user.apply(&event);
                view.apply(&event);
                let after = user.wallet().balance(at(now));
                match &event {
                    UserEvent::TokensReserved { .. } => assert_eq!(after.remaining + 1, before.remaining),
                    UserEvent::TokensReleased { .. } => assert!(after.remaining >= before.remaining),
                    UserEvent::TokensConsumed { remaining, .. } => assert_eq!(*remaining, after.remaining),
                    other => unreachable!("{other:?}"),
                }
            }
            let balance = user.wallet().balance(at(now));
            assert!(balance.remaining <= balance.max);
            assert!(balance.held_until.is_none_or(|until| until > at(now) && until <= at(now) + HOLD));
            assert_eq!(user.wallet(), &view);
        }
    }

    #[test]
    fn the_size_of_a_wallet_is_bounded(ids in prop::collection::vec(0u8..=255, 300)) {
        let mut user = replay::<User, _>(&kim(), [&registered()]).unwrap();
        for (step, id) in ids.into_iter().enumerate() {
            if let Ok(Some(event)) = user.reserve(exchange(id), at(step as u64 * 10)) {
                user.apply(&event);
            }
        }
        let most = REMEMBERED_MOST + 7 + 1;
        assert!(serde_json::to_vec(user.wallet()).unwrap().len() < most * 160);
    }
}
