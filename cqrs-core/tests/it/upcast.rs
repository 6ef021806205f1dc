//! Events of former versions are read through their upcasters, wherever they are decoded.
use crate::{bank::until, trials::trial};
use cqrs_core::{App, BoxError, EventSourced, StateStored, app::DRAIN, serde_json::Value, storage::Memory};
use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("upcast: aggregates, projections, subscribers and redeliveries read former versions", every_reader)]
}

/// The program that stores version 1: an amount in whole units.
mod first {
    use cqrs_core::{Aggregate, Command, Event, Evolve, HandlerResult, Repo, handler};
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "wallet", event = WalletEvent)]
    pub(super) struct Wallet {
        #[id]
        id: String,
    }
    #[derive(Clone, Serialize, Deserialize, Event)]
    #[event(name = "wallet", version = 1)]
    pub(super) enum WalletEvent {
        Filled { amount: i64 },
    }
    impl Evolve<WalletEvent> for Wallet {
        fn create(id: String, _: &WalletEvent) -> Option<Self> {
            Some(Wallet { id })
        }
        fn apply(&mut self, _: &WalletEvent) {}
    }
    #[derive(Clone, Serialize, Deserialize, Command)]
    pub(super) struct Fill(pub(super) String, pub(super) i64);
    #[handler]
    async fn fill(command: Fill, wallets: Repo<Wallet>) -> HandlerResult<()> {
        wallets.create(command.0, WalletEvent::Filled { amount: command.1 })?;
        Ok(())
    }
}

/// The program that reads version 1 and 2, and stores version 3: cents with a currency.
mod third {
    use cqrs_core::{
        Aggregate, BoxError, Change, Command, Dep, Event, Evolve, HandlerResult, Recorded, Repo, View, handler,
        projection, subscriber,
    };
    use serde::{Deserialize, Serialize};
    use std::sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    };

    /// Whether the upcaster of version 1 fails, as it does before a mistake in it is corrected.
    pub(super) static FAILS: AtomicBool = AtomicBool::new(false);

    #[derive(Clone, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "wallet", event = WalletEvent)]
    pub(super) struct Wallet {
        #[id]
        id: String,
        cents: i64,
    }
    #[derive(Clone, Serialize, Deserialize, Event)]
    #[event(name = "wallet", version = 3, upcast(2 = super::from_2, 1 = from_1))]
    pub(super) enum WalletEvent {
        Filled { cents: i64, currency: String },
    }
    fn from_1(mut json: super::Value) -> Result<super::Value, BoxError> {
        if FAILS.load(Ordering::Relaxed) {
            return Err("not corrected yet".into());
        }
        let filled = json["Filled"].as_object_mut().ok_or("version 1 has another event")?;
        let amount = filled.remove("amount").and_then(|amount| amount.as_i64()).ok_or("no amount")?;
        filled.insert("cents".into(), (amount * 100).into());
        Ok(json)
    }
    impl Evolve<WalletEvent> for Wallet {
        fn create(id: String, WalletEvent::Filled { cents, .. }: &WalletEvent) -> Option<Self> {
            Some(Wallet { id, cents: *cents })
        }
        fn apply(&mut self, WalletEvent::Filled { cents, .. }: &WalletEvent) {
            self.cents += cents;
        }
    }
    #[derive(Clone, Serialize, Deserialize, Command)]
    pub(super) struct Add(pub(super) String, pub(super) i64);
    #[handler]
    async fn add(command: Add, wallets: Repo<Wallet>) -> HandlerResult<i64> {
        let event = WalletEvent::Filled { cents: command.1, currency: "WON".into() };
        Ok(wallets.update(&command.0, |_| event).await?.cents)
    }
    #[derive(Clone, Serialize, Deserialize, View)]
    #[view(name = "wallet-history", key = String)]
    pub(super) struct History(pub(super) Vec<(i64, String)>);
    #[projection(name = "wallet-history")]
    fn history(event: &Recorded<WalletEvent>) -> Change<History> {
        let WalletEvent::Filled { cents, currency } = event.event.clone();
        Change::none().and(event.aggregate_id.clone(), move |found| {
            let mut history = found.unwrap_or(History(vec![]));
            history.0.push((cents, currency));
            Some(history)
        })
    }
    #[subscriber(group = "wallet.mail", from = "beginning")]
    async fn mail(event: Recorded<WalletEvent>, received: Dep<Mutex<Vec<i64>>>) -> Result<(), BoxError> {
        let WalletEvent::Filled { cents, .. } = event.event;
        received.lock().expect("no test panics here").push(cents);
        Ok(())
    }
}
fn from_2(mut json: Value) -> Result<Value, BoxError> {
    json["Filled"]["currency"] = "EUR".into();
    Ok(json)
}

async fn every_reader() {
    let storage = Memory::new();
    let first = App::builder("wallets").discover_part(concat!(module_path!(), "::first")).storage(storage.clone());
    let first = first.aggregate(StateStored::<first::Wallet>::new()).build().expect("the app builds");
    for id in ["1", "2"] {
        first.send(first::Fill(id.into(), 3)).await.expect("the wallet is filled");
    }
    let received = std::sync::Arc::new(std::sync::Mutex::new(Vec::<i64>::new()));
    let third = App::builder("wallets").discover_part(concat!(module_path!(), "::third")).storage(storage);
    let third = third.aggregate(EventSourced::<third::Wallet>::new()).provide(received.clone());
    let third = third.build().expect("the app builds");
    third::FAILS.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = third.send(third::Add("1".into(), 1)).await.expect_err("the stream cannot be read");
    assert_eq!(error.kind(), cqrs_core::ErrorKind::Internal, "{error}");
    let running = third.start().await.expect("the program starts");
    let parked = async || third.parked().list(&Default::default()).await.expect("the storage responds");
    until("the events are parked for both readers", async || parked().await.len() == 4).await;
    assert!(parked().await.iter().all(|parked| parked.error.contains("the upcaster of version 1 failed")));

    third::FAILS.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(third.send(third::Add("1".into(), 1)).await.expect("the stream is read"), 301);
    for parked in parked().await {
        let by = cqrs_core::Metadata::default().caller("operator");
        let done = third.parked().redeliver(&parked.reader, &parked.key, &by).await.expect("the storage responds");
        assert!(done.stopped.is_none(), "{done:?}");
    }
    until("nothing is parked", async || parked().await.is_empty()).await;
    until("each event is received", async || received.lock().expect("no test panics here").len() == 3).await;
    let mut cents = received.lock().expect("no test panics here").clone();
    cents.sort_unstable();
    assert_eq!(cents, [1, 300, 300]);
    let history = async || {
        let found = third.storage().views("wallet-history", &["1".to_owned()]).await.expect("the storage responds");
        let value = found.into_iter().next().and_then(|view| view.value).expect("the view is stored");
        serde_json::from_slice::<third::History>(&value).expect("it is a history").0
    };
    until("both events are projected", async || history().await.len() == 2).await;
    assert_eq!(history().await, [(300, "EUR".to_owned()), (1, "WON".to_owned())]);
    assert!(running.stop(DRAIN).await);
}
