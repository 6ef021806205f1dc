//! Tests of the wallet: given, when, then; and properties that hold for any order of events.
use super::{
    Allowance, ExchangeId, HOLD, REMEMBERED, REMEMBERED_MOST, ResetInterval, Wallet, WalletError, WalletEvent,
};
use crate::domain::testing::{at, exchange, kim};
use cqrs_core::{Evolve, replay, testing::given};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};
use std::collections::BTreeMap;

fn opened() -> WalletEvent {
    Wallet::open(at(0))
}
fn reserved(number: u8, attempt: u32, seconds: u64) -> WalletEvent {
    WalletEvent::TokensReserved { exchange: exchange(number), attempt, named: true, at: at(seconds) }
}
fn released(number: u8, attempt: u32, seconds: u64) -> WalletEvent {
    WalletEvent::TokensReleased { exchange: exchange(number), attempt, at: at(seconds) }
}
fn consumed(number: u8, remaining: u32, seconds: u64) -> WalletEvent {
    WalletEvent::TokensConsumed { exchange: exchange(number), remaining, max: 7, at: at(seconds) }
}
/// Returns the balance of Kim's wallet after these events.
fn remaining(events: &[WalletEvent], seconds: u64) -> u32 {
    replay::<Wallet, _>(&kim(), events).unwrap().balance(at(seconds)).remaining
}

const SIX_HOURS: u64 = 6 * 3600;

fn all_held() -> Vec<WalletEvent> {
    [opened()].into_iter().chain((1..=7).map(|number| reserved(number, 1, 0))).collect()
}

#[test]
fn a_hold_reduces_the_balance() {
    given::<Wallet>(kim(), [opened()])
        .when(|wallet| wallet.reserve(exchange(1), true, at(0)))
        .then([reserved(1, 1, 0)]);
    assert_eq!(remaining(&[opened(), reserved(1, 1, 0)], 0), 6);
}
#[test]
fn a_repeated_reservation_changes_nothing() {
    given::<Wallet>(kim(), [opened(), reserved(1, 1, 0)])
        .when(|wallet| wallet.reserve(exchange(1), true, at(59)))
        .then([]);
}
#[test]
fn an_empty_wallet_refuses_a_new_exchange_but_not_a_held_one() {
    given::<Wallet>(kim(), all_held())
        .when(|wallet| wallet.reserve(exchange(8), true, at(1)))
        .then_rejected(WalletError::NoRemainingTokens);
    given::<Wallet>(kim(), all_held()).when(|wallet| wallet.reserve(exchange(3), true, at(1))).then([]);
}
#[test]
fn a_hold_ends_after_a_minute() {
    assert_eq!(HOLD.as_secs(), 60);
    assert_eq!((remaining(&all_held(), 59), remaining(&all_held(), 60)), (0, 7));
    given::<Wallet>(kim(), all_held())
        .when(|wallet| wallet.reserve(exchange(1), true, at(60)))
        .then([reserved(1, 2, 60)]);
}
#[test]
fn a_released_token_can_be_held_again() {
    let past = [opened(), reserved(1, 1, 0), released(1, 1, 5)];
    assert_eq!(remaining(&past, 5), 7);
    given::<Wallet>(kim(), past).when(|wallet| wallet.reserve(exchange(1), true, at(6))).then([reserved(1, 2, 6)]);
}
#[test]
fn a_late_release_does_not_affect_a_newer_hold() {
    let past = [opened(), reserved(1, 1, 0), reserved(1, 2, 60)];
    given::<Wallet>(kim(), past.clone())
        .when(|wallet| Ok::<_, WalletError>(wallet.release(exchange(1), 1, at(61))))
        .then([]);
    given::<Wallet>(kim(), past)
        .when(|wallet| Ok::<_, WalletError>(wallet.release(exchange(1), 2, at(61))))
        .then([released(1, 2, 61)]);
}
#[test]
fn only_a_hold_can_be_released() {
    let release = |wallet: &Wallet| Ok::<_, WalletError>(wallet.release(exchange(1), 9, at(61)));
    given::<Wallet>(kim(), [opened()]).when(release).then([]);
    given::<Wallet>(kim(), [opened(), reserved(1, 1, 0)]).when(release).then([]);
    given::<Wallet>(kim(), [opened(), reserved(1, 1, 60), consumed(1, 6, 60)]).when(release).then([]);
}
#[test]
fn a_held_token_is_consumed_once() {
    let past = [opened(), reserved(1, 1, 0)];
    given::<Wallet>(kim(), past)
        .when(|wallet| Ok::<_, WalletError>(wallet.consume(exchange(1), at(20))))
        .then([consumed(1, 6, 20)]);
    assert_eq!(remaining(&[opened(), reserved(1, 1, 0), consumed(1, 6, 20)], 3600), 6);
}
#[test]
fn a_reply_consumes_a_token_that_is_not_held() {
    given::<Wallet>(kim(), [opened()])
        .when(|wallet| Ok::<_, WalletError>(wallet.consume(exchange(1), at(0))))
        .then([consumed(1, 6, 0)]);
    // The reply came after its hold had expired and others had taken the rest: the balance is zero, not negative.
    let late: Vec<_> =
        all_held().into_iter().chain((1..=7).map(|number| consumed(number, 0, 1))).chain([consumed(8, 0, 2)]).collect();
    assert_eq!(remaining(&late, 3), 0);
}
#[test]
fn a_consumed_exchange_is_neither_consumed_nor_held_again() {
    let past = [opened(), reserved(1, 1, 0), consumed(1, 6, 1)];
    given::<Wallet>(kim(), past.clone())
        .when(|wallet| Ok::<_, WalletError>(wallet.consume(exchange(1), at(2))))
        .then([]);
    given::<Wallet>(kim(), past).when(|wallet| wallet.reserve(exchange(1), true, at(90))).then([]);
}
#[test]
fn the_wallet_is_full_again_six_hours_after_the_last_reset() {
    let past: Vec<_> =
        [opened()].into_iter().chain((1..=7).map(|number| consumed(number, 7 - u32::from(number), 10))).collect();
    assert_eq!((remaining(&past, SIX_HOURS - 1), remaining(&past, SIX_HOURS)), (0, 7));
    given::<Wallet>(kim(), past)
        .when(|wallet| wallet.reserve(exchange(9), true, at(SIX_HOURS)))
        .then([reserved(9, 1, SIX_HOURS)]);
}
#[test]
fn a_reset_keeps_held_tokens() {
    let past = [opened(), consumed(1, 6, 0), reserved(2, 1, SIX_HOURS - 10)];
    assert_eq!(remaining(&past, SIX_HOURS), 6);
}
#[test]
fn the_next_interval_starts_with_the_next_event() {
    let past = [opened(), consumed(1, 6, 0), consumed(2, 6, SIX_HOURS + 100)];
    let wallet = replay::<Wallet, _>(&kim(), &past).unwrap();
    assert_eq!(wallet.balance(at(SIX_HOURS + 200)).resets_at, Some(at(2 * SIX_HOURS + 100)));
    assert_eq!(remaining(&past, 2 * SIX_HOURS + 99), 6);
}
#[test]
fn hourly_and_daily_resets_follow_the_calendar_of_korea() {
    let next = |interval: ResetInterval| interval.after(at(0)).to_rfc3339();
    assert_eq!(next(ResetInterval::Hourly), "2026-03-01T13:00:00+00:00");
    // It is 21:30 in Korea, where the day ends at 15:00 in UTC.
    assert_eq!(next(ResetInterval::Daily), "2026-03-01T15:00:00+00:00");
    assert_eq!(next(ResetInterval::SixHours), "2026-03-01T18:30:00+00:00");
    for (last, reset) in [("14:59:59", "2026-03-01T15:00:00+00:00"), ("15:00:00", "2026-03-02T15:00:00+00:00")] {
        let last = format!("2026-03-01T{last}Z").parse().unwrap();
        assert_eq!(ResetInterval::Daily.after(last).to_rfc3339(), reset);
    }
}
#[test]
fn a_full_wallet_has_no_reset_time() {
    let wallet = replay::<Wallet, _>(&kim(), &[opened()]).unwrap();
    let balance = wallet.balance(at(0));
    assert_eq!((balance.remaining, balance.held_until, balance.resets_at), (7, None, None));
}
#[test]
fn old_exchanges_are_dropped() {
    let day = REMEMBERED.as_secs();
    let past = [opened(), consumed(1, 6, 0), reserved(2, 1, day)];
    let wallet = replay::<Wallet, _>(&kim(), &past).unwrap();
    let stored = serde_json::to_string(&wallet).unwrap();
    assert!(!stored.contains(&exchange(1).to_string()) && stored.contains(&exchange(2).to_string()));
    assert_eq!(wallet.holds(exchange(2), at(day)), Some(1));
}

#[test]
fn a_link_fills_the_wallet_with_a_thousand_tokens_a_day() {
    let linked = WalletEvent::AllowanceChanged { allowance: Allowance::LINKED, free: 1_000, at: at(5) };
    given::<Wallet>(kim(), [opened(), consumed(1, 6, 1)])
        .when(|wallet| Ok::<_, WalletError>(wallet.link(at(5))))
        .then([linked.clone()]);
    assert_eq!((remaining(&[opened(), consumed(1, 6, 1), linked.clone()], 5), Allowance::LINKED.max), (1_000, 1_000));
    // It is 21:30 in Korea, so the day ends in two and a half hours.
    let past = [opened(), linked, consumed(2, 999, 6)];
    let midnight = 2 * 3600 + 1800;
    assert_eq!((remaining(&past, midnight - 1), remaining(&past, midnight)), (999, 1_000));
}
#[test]
fn a_demotion_sets_the_maximum_back_and_caps_the_balance() {
    let promoted = WalletEvent::AllowanceChanged { allowance: Allowance::ADMIN, free: 999_999_999, at: at(1) };
    for (linked, allowance) in [(true, Allowance::LINKED), (false, Allowance::UNLINKED)] {
        given::<Wallet>(kim(), [opened(), promoted.clone()])
            .when(|wallet| Ok::<_, WalletError>(wallet.demote(linked, at(2))))
            .then([WalletEvent::AllowanceChanged { allowance, free: allowance.max, at: at(2) }]);
    }
    let nearly_empty = WalletEvent::AllowanceChanged { allowance: Allowance::ADMIN, free: 3, at: at(1) };
    given::<Wallet>(kim(), [opened(), nearly_empty])
        .when(|wallet| Ok::<_, WalletError>(wallet.demote(true, at(2))))
        .then([WalletEvent::AllowanceChanged { allowance: Allowance::LINKED, free: 3, at: at(2) }]);
}
#[test]
fn a_change_that_is_none_produces_no_event() {
    let promoted = WalletEvent::AllowanceChanged { allowance: Allowance::ADMIN, free: 9, at: at(1) };
    let none = |past: Vec<WalletEvent>, decide: fn(&Wallet) -> Option<WalletEvent>| {
        given::<Wallet>(kim(), past).when(|wallet| Ok::<_, WalletError>(decide(wallet))).then([]);
    };
    none(vec![opened()], |wallet| wallet.demote(false, at(2)));
    none(vec![opened(), promoted.clone()], |wallet| wallet.promote(at(2)));
    none(vec![opened(), promoted], |wallet| wallet.link(at(2)));
}
#[test]
fn free_tokens_are_consumed_before_bought_ones() {
    let bought = WalletEvent::TokensBought { count: 2, at: at(0) };
    let mut past = vec![opened(), bought];
    assert_eq!(remaining(&past, 0), 9);
    past.extend((1..=8).map(|number| consumed(number, 9 - u32::from(number), 1)));
    assert_eq!(remaining(&past, 1), 1);
    assert_eq!(remaining(&past, SIX_HOURS), 8, "the reset fills the free tokens, and one bought token is left");
}
#[test]
fn a_bought_token_can_be_held() {
    let past = [opened(), WalletEvent::TokensBought { count: 1, at: at(0) }];
    let past: Vec<_> = past.into_iter().chain((1..=7).map(|number| consumed(number, 0, 1))).collect();
    given::<Wallet>(kim(), past).when(|wallet| wallet.reserve(exchange(8), true, at(2))).then([reserved(8, 1, 2)]);
}

fn unnamed(number: u8, seconds: u64) -> WalletEvent {
    WalletEvent::TokensReserved { exchange: exchange(number), attempt: 1, named: false, at: at(seconds) }
}
fn named(from: u8, to: u8, attempt: u32, seconds: u64) -> WalletEvent {
    WalletEvent::ReservationNamed { from: exchange(from), exchange: exchange(to), attempt, at: at(seconds) }
}
#[test]
fn an_exchange_takes_over_the_open_reservation_without_a_name() {
    let confirm = |wallet: &Wallet| wallet.confirm(None, exchange(1), at(30));
    given::<Wallet>(kim(), [opened(), unnamed(9, 0)]).when(confirm).then([named(9, 1, 1, 30)]);
    let wallet = replay::<Wallet, _>(&kim(), &[opened(), unnamed(9, 0), named(9, 1, 1, 30)]).unwrap();
    assert_eq!((wallet.holds(exchange(1), at(59)), wallet.holds(exchange(1), at(60))), (Some(1), None));
    assert_eq!((wallet.holds(exchange(9), at(30)), wallet.unnamed(at(30))), (None, None));
    assert_eq!(wallet.balance(at(30)).remaining, 6);
}
#[test]
fn a_reservation_is_taken_over_once() {
    let past = [opened(), unnamed(9, 0), named(9, 1, 1, 30)];
    for reservation in [None, Some(exchange(9)), Some(exchange(1))] {
        given::<Wallet>(kim(), past.clone())
            .when(|wallet| wallet.confirm(reservation, exchange(2), at(31)))
            .then_rejected(WalletError::NoReservation);
    }
    given::<Wallet>(kim(), past).when(|wallet| wallet.confirm(None, exchange(1), at(31))).then([]);
}
#[test]
fn a_taken_over_reservation_is_the_next_attempt_of_its_exchange() {
    let past = [opened(), reserved(1, 1, 0), released(1, 1, 1), unnamed(9, 2)];
    given::<Wallet>(kim(), past).when(|wallet| wallet.confirm(None, exchange(1), at(3))).then([named(9, 1, 2, 3)]);
}
#[test]
fn only_a_held_or_paid_exchange_is_confirmed() {
    let confirm = |seconds| move |wallet: &Wallet| wallet.confirm(Some(exchange(1)), exchange(1), at(seconds));
    given::<Wallet>(kim(), [opened()]).when(confirm(0)).then_rejected(WalletError::NoReservation);
    given::<Wallet>(kim(), [opened(), reserved(1, 1, 0)]).when(confirm(59)).then([]);
    given::<Wallet>(kim(), [opened(), reserved(1, 1, 0)]).when(confirm(60)).then_rejected(WalletError::NoReservation);
    given::<Wallet>(kim(), [opened(), reserved(1, 1, 0), released(1, 1, 1)])
        .when(confirm(2))
        .then_rejected(WalletError::NoReservation);
    given::<Wallet>(kim(), [opened(), reserved(1, 1, 0), consumed(1, 6, 1)]).when(confirm(90)).then([]);
}
#[test]
fn a_reservation_that_its_own_id_names_is_not_free_for_others() {
    let past = [opened(), unnamed(9, 0)];
    given::<Wallet>(kim(), past.clone()).when(|wallet| wallet.reserve(exchange(9), false, at(1))).then([]);
    let by_reserve = |wallet: &Wallet| wallet.reserve(exchange(9), true, at(1));
    let by_confirm = |wallet: &Wallet| wallet.confirm(Some(exchange(9)), exchange(9), at(1));
    given::<Wallet>(kim(), past.clone()).when(by_reserve).then([named(9, 9, 1, 1)]);
    given::<Wallet>(kim(), past).when(by_confirm).then([named(9, 9, 1, 1)]);
}

#[derive(Debug, Clone)]
enum Step {
    Reserve(u8),
    ReserveUnnamed,
    Confirm(Option<u8>, u8),
    Release(u8, u32),
    Consume(u8),
    Buy(u32),
    Link,
    Promote,
    Demote(bool),
    Wait(u64),
}
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = 0u8..12;
    let step = prop_oneof![
        8 => id.clone().prop_map(Step::Reserve),
        3 => Just(Step::ReserveUnnamed),
        3 => (prop::option::of(id.clone()), id.clone()).prop_map(|(reservation, id)| Step::Confirm(reservation, id)),
        4 => (id.clone(), 1u32..4).prop_map(|(id, attempt)| Step::Release(id, attempt)),
        4 => id.prop_map(Step::Consume),
        1 => (0u32..4).prop_map(Step::Buy),
        1 => prop_oneof![Just(Step::Link), Just(Step::Promote), any::<bool>().prop_map(Step::Demote)],
        2 => (0u64..100).prop_map(Step::Wait),
        2 => (0u64..30_000).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..120)
}

/// A wallet that is counted token by token, to compare with.
struct Counted {
    allowance: Allowance,
    free: u32,
    bought: u32,
    last_reset: u64,
    /// The end and the attempt of each hold.
    holds: BTreeMap<ExchangeId, (u64, u32)>,
}
impl Counted {
    fn is_due(&self, now: u64) -> bool {
        at(now) >= self.allowance.interval.after(at(self.last_reset))
    }
    fn remaining(&self, now: u64) -> u32 {
        let free = if self.is_due(now) { self.allowance.max } else { self.free };
        let held = self.holds.values().filter(|(until, _)| *until > now).count() as u32;
        (free + self.bought).saturating_sub(held)
    }
    fn count(&mut self, event: &WalletEvent, now: u64) {
        let resets = matches!(
            event,
            WalletEvent::TokensReserved { .. }
                | WalletEvent::TokensReleased { .. }
                | WalletEvent::TokensConsumed { .. }
        );
        if resets && self.is_due(now) {
            (self.free, self.last_reset) = (self.allowance.max, now);
        }
        match *event {
            WalletEvent::Opened { .. } => unreachable!("a wallet is opened once"),
            WalletEvent::AllowanceChanged { allowance, free, .. } => {
                (self.allowance, self.free, self.last_reset) = (allowance, free, now);
            }
            WalletEvent::TokensBought { count, .. } => self.bought += count,
            WalletEvent::TokensReserved { exchange, attempt, .. } => {
                self.holds.insert(exchange, (now + HOLD.as_secs(), attempt));
            }
            WalletEvent::ReservationNamed { from, exchange, attempt, .. } => {
                let (until, _) = self.holds.remove(&from).expect("only a hold is named");
                self.holds.insert(exchange, (until, attempt));
            }
            WalletEvent::TokensReleased { exchange, .. } => drop(self.holds.remove(&exchange)),
            WalletEvent::TokensConsumed { exchange, .. } => {
                self.holds.remove(&exchange);
                match self.free {
                    0 => self.bought = self.bought.saturating_sub(1),
                    _ => self.free -= 1,
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_balance_is_that_of_counted_tokens_for_any_order_of_events(steps in steps()) {
        let mut wallet = replay::<Wallet, _>(&kim(), [&opened()]).unwrap();
        let allowance = Allowance::UNLINKED;
        let mut counted = Counted { allowance, free: 7, bought: 0, last_reset: 0, holds: BTreeMap::new() };
        let (mut now, mut generated) = (0, 100);
        for step in steps {
            let held = |wallet: &Wallet, id: u8| wallet.holds(exchange(id), at(now));
            let before = wallet.balance(at(now)).remaining;
            let decision = match step {
                Step::Wait(seconds) => { now += seconds; None }
                Step::Reserve(id) => {
                    let decided = wallet.reserve(exchange(id), true, at(now));
                    match &decided {
                        Ok(Some(_)) => assert!(before > 0 && held(&wallet, id).is_none()),
                        Ok(None) => assert!(held(&wallet, id).is_some() || wallet.is_consumed(exchange(id))),
                        Err(_) => assert!(before == 0 && held(&wallet, id).is_none()),
                    }
                    decided.unwrap_or_default()
                }
                Step::ReserveUnnamed => {
                    let open = wallet.unnamed(at(now));
                    generated += 1;
                    let decided = wallet.reserve(open.unwrap_or(exchange(generated)), false, at(now));
                    assert!(open.is_none() || decided == Ok(None), "an open reservation is returned");
                    decided.unwrap_or_default()
                }
                Step::Confirm(reservation, id) => {
                    let decided = wallet.confirm(reservation.map(exchange), exchange(id), at(now));
                    match &decided {
                        Ok(Some(event)) => assert!(matches!(event, WalletEvent::ReservationNamed { .. })),
                        Ok(None) => assert!(held(&wallet, id).is_some() || wallet.is_consumed(exchange(id))),
                        Err(_) => assert!(held(&wallet, id).is_none() && !wallet.is_consumed(exchange(id))),
                    }
                    decided.unwrap_or_default()
                }
                Step::Release(id, attempt) => {
                    let decided = wallet.release(exchange(id), attempt, at(now));
                    assert_eq!(decided.is_some(), held(&wallet, id).is_some_and(|held| attempt >= held));
                    decided
                }
                Step::Consume(id) => wallet.consume(exchange(id), at(now)),
                Step::Buy(count) => Some(wallet.buy(count, at(now))),
                Step::Link => wallet.link(at(now)),
                Step::Promote => wallet.promote(at(now)),
                Step::Demote(linked) => wallet.demote(linked, at(now)),
            };
            if let Some(event) = decision {
                let attempts = wallet.clone();
                wallet.apply(&event);
                counted.count(&event, now);
                let balance = wallet.balance(at(now));
                match event {
                    WalletEvent::TokensReserved { exchange, attempt, .. } => {
                        assert_eq!((balance.remaining + 1, attempt), (before, attempts.attempt(exchange) + 1));
                    }
                    WalletEvent::ReservationNamed { exchange, attempt, .. } => {
                        assert_eq!(balance.remaining, before, "a name costs nothing");
                        assert!(attempt >= attempts.attempt(exchange).max(1), "attempts are never counted back");
                    }
                    WalletEvent::TokensConsumed { remaining, max, .. } => {
                        assert_eq!((remaining, max), (balance.remaining, balance.max));
                    }
                    _ => (),
                }
            }
            let balance = wallet.balance(at(now));
            assert_eq!(balance.remaining, counted.remaining(now));
            for (id, (until, attempt)) in &counted.holds {
                assert_eq!(wallet.holds(*id, at(now)), (*until > now).then_some(*attempt));
            }
            assert!(balance.held_until.is_none_or(|until| until > at(now) && until <= at(now) + HOLD));
        }
    }

    #[test]
    fn the_size_of_a_wallet_is_bounded(ids in prop::collection::vec(0u8..=255, 300)) {
        let mut wallet = replay::<Wallet, _>(&kim(), [&opened()]).unwrap();
        for (step, id) in ids.into_iter().enumerate() {
            if let Ok(Some(event)) = wallet.reserve(exchange(id), true, at(step as u64 * 10)) {
                wallet.apply(&event);
            }
        }
        let most = REMEMBERED_MOST + 7 + 1;
        assert!(serde_json::to_vec(&wallet).unwrap().len() < most * 160);
    }
}
