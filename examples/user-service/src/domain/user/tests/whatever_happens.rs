//! What holds in whatever order things happen.
use super::{at, exchange, registered};
use crate::domain::user::{HOLD, REMEMBERED_MOST, User, UserEvent, Wallet};
use cqrs_core::{Evolve, replay};
use proptest::prelude::{ProptestConfig, Strategy, prop, prop_oneof, proptest};

#[derive(Debug, Clone)]
enum Step {
    Reserve(u8),
    Release(u8, u32),
    Spend(u8),
    Wait(u64),
}
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = 0u8..12;
    let step = prop_oneof![
        4 => id.clone().prop_map(Step::Reserve),
        2 => (id.clone(), 1u32..4).prop_map(|(id, attempt)| Step::Release(id, attempt)),
        2 => id.prop_map(Step::Spend),
        1 => (0u64..100).prop_map(Step::Wait),
        1 => (0u64..30_000).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_wallet_keeps_its_promises(steps in steps()) {
        let first = registered();
        let mut user = replay::<User, _>([&first]).unwrap();
        let UserEvent::Registered { allowance, at: since, .. } = first else { unreachable!() };
        let mut view = Wallet::new(allowance, since);
        let mut now = 0;
        let mut spent = std::collections::BTreeSet::new();
        for step in steps {
            let before = user.wallet().balance(at(now));
            let happened = match step {
                Step::Wait(seconds) => { now += seconds; None }
                Step::Reserve(id) => {
                    let held = user.wallet().holds(exchange(id), at(now));
                    let decided = user.reserve(exchange(id), at(now));
                    match &decided {
                        Ok(Some(_)) => assert!(before.remaining > 0 && held.is_none()),
                        Ok(None) => assert!(held.is_some() || spent.contains(&id)),
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
                Step::Spend(id) => {
                    let decided = user.spend(exchange(id), at(now));
                    // Forgotten only after a day, and `SpentExchange` never forgets.
                    assert!(decided.is_none() || spent.insert(id) || now > 24 * 3600);
                    decided
                }
            };
            if let Some(event) = happened {
                user.apply(&event);
                view.apply(&event);
                let after = user.wallet().balance(at(now));
                match &event {
                    UserEvent::TokensReserved { .. } => assert_eq!(after.remaining + 1, before.remaining),
                    UserEvent::TokensReleased { .. } => assert!(after.remaining >= before.remaining),
                    UserEvent::TokensSpent { remaining, .. } => assert_eq!(*remaining, after.remaining),
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
    fn nobody_makes_it_grow(ids in prop::collection::vec(0u8..=255, 300)) {
        let mut user = replay::<User, _>([&registered()]).unwrap();
        for (step, id) in ids.into_iter().enumerate() {
            if let Ok(Some(event)) = user.reserve(exchange(id), at(step as u64 * 10)) {
                user.apply(&event);
            }
        }
        let most = REMEMBERED_MOST + 7 + 1;
        assert!(serde_json::to_vec(user.wallet()).unwrap().len() < most * 160);
    }
}
