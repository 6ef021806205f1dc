//! `App::send` for its caller: typed outputs and errors, retries, idempotency keys, deadlines and middleware.
use crate::{
    bank::{Account, AccountError, AccountEvent, BANK, Open, Pay, bank, on_each, opened, paid_in},
    trials::trial,
};
use cqrs_core::{
    App, AppBuilder, Call, Command, Dep, Error, ErrorKind, Fault, HandlerResult, Infallible, Metadata, Middleware,
    Next, Outcome, Query, Repo, RequestKind, handler, storage::Memory,
};
use futures_util::future::join_all;
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("bus: a request that the app has not discovered is an internal error that names it", undiscovered),
        trial("bus: a deadline ends the handler, and a deadline in the past starts none", deadline),
        trial("bus: layers run in the order of registration and see the outcome", layers),
        trial("bus: an error of a layer refuses the request", refusal),
        trial("bus: a layer that neither runs nor refuses the request is an error", idle_layer),
        trial("bus: a repeated command that fails on its own first effect returns the stored response", own_effect),
        trial("bus: a module may be discovered together with a module inside it", nested),
        trial("bus: two handlers of one name in one module are kept apart", namesakes),
        trial("bus: a parameter that asks for a bus on its own gets none in a command", no_bus),
    ];
    trials.extend(on_each("bus: outputs are typed and errors are distinguishable", refusals));
    trials.extend(on_each("bus: fifty concurrent commands on one account all succeed", conflicts));
    trials.extend(on_each("bus: a thousand concurrent commands on one account queue and all succeed", queue));
    trials.extend(on_each("bus: a repeated idempotency key returns the first response", keys));
    trials.extend(on_each("bus: eighty concurrent calls with twenty idempotency keys run twenty commands", many_keys));
    trials
}

async fn refusals(app: AppBuilder) {
    let app = app.build().expect("the app builds");
    opened(&app, "kim").await;
    assert_eq!(app.send(Pay { id: "kim".into(), amount: 5 }).await.expect("the payment succeeds"), 5);
    let absent = app.send(Pay { id: "lee".into(), amount: 5 }).await.expect_err("the account does not exist");
    assert_eq!((absent.kind(), &*absent.to_string()), (ErrorKind::NotFound, "account lee not found"));
    let poor = app.send(Pay { id: "kim".into(), amount: -6 }).await.expect_err("the balance is too low");
    assert!(matches!(poor, Error::Domain(AccountError::Insufficient(5))), "{poor}");
    assert_eq!((poor.kind(), &*poor.reason()), (ErrorKind::Precondition, "INSUFFICIENT"));
    let again = app.send(Open { id: "kim".into(), name: "other".into() }).await.expect_err("the account exists");
    assert!(matches!(again, Error::Exists { .. }), "{again}");
    let taken = app.send(Open { id: "lee".into(), name: "name of kim".into() }).await.expect_err("the name is taken");
    assert_eq!((&*taken.reason(), &*taken.to_string()), ("TAKEN", "account.name name of kim is taken"));
    assert_eq!(paid_in(&app, "kim", 0).await, 5);
}

#[derive(Clone, Query)]
struct Lost;
#[handler]
async fn lost(_: Lost) -> HandlerResult<(), Infallible> {
    Ok(())
}

async fn undiscovered() {
    let app = bank(Memory::new()).build().expect("the app builds");
    let error = app.send(Lost).await.expect_err("the handler is not discovered");
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(error.to_string(), "bank did not discover `it::bus::lost`: call `.discover(...)` for its crate");
}

async fn nested() {
    let app = App::builder("bus")
        .discover_part(module_path!())
        .discover_part("it::bus::inside")
        .discover_part("it::bus::inside");
    let app = app.provide(Arc::new(Gate::default())).provide(Arc::new(AtomicU32::new(0)));
    let app =
        app.aggregate(cqrs_core::StateStored::<Account>::new()).build().expect("discovering a module twice is allowed");
    assert_eq!(app.send(inside::Inside).await.expect("the handler runs"), 1);
}
mod inside {
    use cqrs_core::{HandlerResult, Infallible, Query, handler};
    #[derive(Clone, Query)]
    pub(super) struct Inside;
    #[handler]
    async fn inside(_: Inside) -> HandlerResult<u32, Infallible> {
        Ok(1)
    }
}

/// Two handlers with one path: inside functions `module_path!()` is that of the module.
mod twins {
    use cqrs_core::{Query, handler};
    pub(super) fn one()
    -> impl cqrs_core::Handled<Output = u32, Error = cqrs_core::Infallible, Sent = cqrs_core::AsQuery> {
        #[derive(Clone, Query)]
        struct One;
        #[handler]
        async fn ask(_: One) -> cqrs_core::HandlerResult<u32, cqrs_core::Infallible> {
            Ok(1)
        }
        One
    }
    pub(super) fn two()
    -> impl cqrs_core::Handled<Output = u32, Error = cqrs_core::Infallible, Sent = cqrs_core::AsQuery> {
        #[derive(Clone, Query)]
        struct Two;
        #[handler]
        async fn ask(_: Two) -> cqrs_core::HandlerResult<u32, cqrs_core::Infallible> {
            Ok(2)
        }
        Two
    }
}
async fn namesakes() {
    let app = App::builder("twins").discover_part("it::bus::twins").build().expect("the app builds");
    assert_eq!(app.send(twins::one()).await.expect("the handler runs"), 1);
    assert_eq!(app.send(twins::two()).await.expect("the handler runs"), 2);
}

async fn conflicts(app: AppBuilder) {
    let app = app.build().expect("the app builds");
    opened(&app, "kim").await;
    let pay = |_| {
        let app = app.clone();
        tokio::spawn(async move { app.send(Pay { id: "kim".into(), amount: 1 }).await })
    };
    let results = join_all((0..50).map(pay)).await.into_iter();
    let mut balances: Vec<_> =
        results.map(|task| task.expect("the task does not panic").expect("the payment succeeds")).collect();
    balances.sort_unstable();
    assert_eq!(balances, (1..=50).collect::<Vec<_>>());
}

async fn queue(app: AppBuilder) {
    let app = app.build().expect("the app builds");
    opened(&app, "kim").await;
    let pay = |_| {
        let app = app.clone();
        tokio::spawn(async move { app.send(Pay { id: "kim".into(), amount: 1 }).await })
    };
    let results = join_all((0..1000).map(pay)).await;
    let failed = results.iter().filter(|result| !matches!(result, Ok(Ok(_)))).count();
    assert_eq!(failed, 0, "of 1000 commands");
    assert_eq!(paid_in(&app, "kim", 0).await, 1000);
}

async fn keys(app: AppBuilder) {
    let app = app.build().expect("the app builds");
    opened(&app, "kim").await;
    let with = |caller: &str| app.with(Metadata::default().caller(caller).key("monday"));
    let pay = |amount| Pay { id: "kim".into(), amount };
    let first = with("kim").send_committed(pay(5)).await.expect("the payment succeeds");
    assert_eq!(first.output, 5);
    paid_in(&app, "kim", 10).await;
    assert_eq!(with("kim").send_committed(pay(5)).await.expect("the first response is returned"), first);
    let reused = with("kim").send(pay(6)).await.expect_err("the key belongs to another command");
    assert_eq!((reused.kind(), &*reused.reason()), (ErrorKind::AlreadyExists, "IDEMPOTENCY_KEY_REUSED"));
    assert_eq!(with("lee").send(pay(5)).await.expect("the key of another caller is independent"), 20);
    // An error is not stored, so the command can be retried with the same key.
    let later = app.with(Metadata::default().key("later"));
    let _ = later.send(pay(-30)).await.expect_err("the balance is too low");
    paid_in(&app, "kim", 10).await;
    assert_eq!(later.send(pay(-30)).await.expect("the balance suffices now"), 0);
    // Open loads nothing, so only the commit finds its stored response.
    let once = app.with(Metadata::default().key("o"));
    for _ in 0..2 {
        once.send(Open { id: "lee".into(), name: "lee".into() }).await.expect("the account opens once");
    }
}

async fn many_keys(app: AppBuilder) {
    let app = app.build().expect("the app builds");
    opened(&app, "kim").await;
    let pay = |caller: u32| {
        let app = app.with(Metadata::default().key(format!("key {}", caller / 4)));
        tokio::spawn(async move { app.send(Pay { id: "kim".into(), amount: 1 }).await })
    };
    let results = join_all((0..80).map(pay)).await.into_iter();
    let balances: Vec<_> =
        results.map(|task| task.expect("the task does not panic").expect("the payment succeeds")).collect();
    let mut firsts: Vec<_> = balances.chunks(4).map(|four| four[0]).collect();
    assert!(balances.chunks(4).all(|four| four.iter().all(|balance| *balance == four[0])), "{balances:?}");
    firsts.sort_unstable();
    assert_eq!(firsts, (1..=20).collect::<Vec<_>>());
    assert_eq!(paid_in(&app, "kim", 0).await, 20);
}

/// Blocks the first caller until it is opened.
#[derive(Default)]
struct Gate {
    arrived: AtomicU32,
    open: Notify,
}
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
struct PayOut {
    id: String,
}
#[handler]
async fn pay_out(command: PayOut, accounts: Repo<Account>, gate: Dep<Gate>) -> HandlerResult<i64, AccountError> {
    // The first load looks the response up, which is not stored yet.
    let _ = accounts.find(&"absent".to_owned()).await?;
    if gate.arrived.fetch_add(1, Ordering::SeqCst) == 0 {
        gate.open.notified().await;
    }
    let emptied = accounts.update(&command.id, |account| match account.balance {
        0 => Err(AccountError::Insufficient(0)),
        all => Ok(AccountEvent::Paid { amount: -all }),
    });
    Ok(emptied.await?.balance)
}

async fn own_effect() {
    let gate = Arc::new(Gate::default());
    let app =
        bank(Memory::new()).discover_part(module_path!()).provide(gate.clone()).provide(Arc::new(AtomicU32::new(0)));
    let app = app.build().expect("the app builds");
    opened(&app, "kim").await;
    paid_in(&app, "kim", 5).await;
    let send = || {
        let with = app.with(Metadata::default().key("all"));
        tokio::spawn(async move { with.send(PayOut { id: "kim".into() }).await })
    };
    let slow = send();
    while gate.arrived.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(send().await.expect("the task does not panic").expect("the balance suffices"), 0);
    gate.open.notify_one();
    assert_eq!(slow.await.expect("the task does not panic").expect("the stored response is returned"), 0);
}

#[derive(Clone, Query)]
struct Slow;
#[handler]
async fn slow(_: Slow, started: Dep<AtomicU32>) -> HandlerResult<(), Infallible> {
    started.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(30)).await;
    Ok(())
}

async fn deadline() {
    let calls = Arc::new(AtomicU32::new(0));
    let app = App::builder("slow").discover_part(module_path!()).discover_part(BANK).provide(calls.clone());
    let app = app.provide(Arc::new(Gate::default())).aggregate(cqrs_core::StateStored::<Account>::new());
    let app = app.build().expect("the app builds");
    let until =
        |millis| app.with(Metadata::default().deadline(chrono::Utc::now() + chrono::TimeDelta::milliseconds(millis)));
    let started = Instant::now();
    let error = until(30).send(Slow).await.expect_err("the deadline passes");
    assert_eq!((error.kind(), &*error.reason()), (ErrorKind::Deadline, "DEADLINE_EXCEEDED"));
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(until(-1).send(Slow).await.expect_err("the deadline has passed").kind(), ErrorKind::Deadline);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

type Notes = Arc<Mutex<Vec<String>>>;
struct Layer(&'static str, Notes);
#[async_trait::async_trait]
impl Middleware for Layer {
    async fn around(&self, call: &Call<'_>, next: Next<'_>) -> Result<Outcome, Fault> {
        let note = |text: String| self.1.lock().expect("the lock is not poisoned").push(text);
        note(format!("{} before {:?} {}", self.0, call.kind, call.name));
        let outcome = next.run().await?;
        note(format!("{} after {outcome:?}", self.0));
        Ok(outcome)
    }
}

async fn layers() {
    let notes = Notes::default();
    let app = bank(Memory::new()).layer(Layer("outer", notes.clone())).layer(Layer("inner", notes.clone()));
    let app = app.build().expect("the app builds");
    opened(&app, "kim").await;
    let _ = app.send(Pay { id: "kim".into(), amount: -1 }).await.expect_err("the balance is too low");
    assert_eq!(
        *notes.lock().expect("the lock is not poisoned"),
        [
            "outer before Command Open",
            "inner before Command Open",
            "inner after Done",
            "outer after Done",
            "outer before Command Pay",
            "inner before Command Pay",
            "inner after Rejected",
            "outer after Rejected"
        ]
    );
}

struct Closed;
#[async_trait::async_trait]
impl Middleware for Closed {
    async fn around(&self, call: &Call<'_>, next: Next<'_>) -> Result<Outcome, Fault> {
        match (call.kind, call.name) {
            (RequestKind::Command, "Pay") => Err(Fault::unavailable("the bank is closed")),
            (RequestKind::Command, "Rename") => Ok(Outcome::Done),
            _ => next.run().await,
        }
    }
}

async fn refusal() {
    let app = bank(Memory::new()).layer(Closed).build().expect("the app builds");
    opened(&app, "kim").await;
    let error = app.send(Pay { id: "kim".into(), amount: 1 }).await.expect_err("the layer refuses the command");
    assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::Unavailable, "the bank is closed"));
}

async fn idle_layer() {
    let app = bank(Memory::new()).layer(Closed).build().expect("the app builds");
    let rename = crate::bank::Rename { id: "kim".into(), name: "lee".into() };
    let error = app.send(rename).await.expect_err("the handler was not run");
    assert_eq!(error.to_string(), "a middleware neither ran the request nor refused it");
}

mod sneaky {
    use cqrs_core::{Bus, Command, Context, FromContext, HandlerResult, Infallible, Rejection, handler};
    use serde::{Deserialize, Serialize};

    /// A parameter whose `needs` do not say that it uses a `Bus`, so the build cannot refuse it.
    struct Sneaky;
    impl FromContext for Sneaky {
        fn from_context(context: &Context) -> Result<Self, Rejection> {
            Bus::from_context(context).map(|_| Sneaky)
        }
    }
    #[derive(Clone, Serialize, Deserialize, Command)]
    pub(super) struct Sneak;
    #[handler]
    async fn sneak(_: Sneak, _: Sneaky) -> HandlerResult<(), Infallible> {
        Ok(())
    }
}
async fn no_bus() {
    let app = bank(Memory::new()).discover_part("it::bus::sneaky").build().expect("the app builds");
    let error = app.send(sneaky::Sneak).await.expect_err("a command has no bus");
    assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
    assert!(error.to_string().contains("only subscribers have a Bus"), "{error}");
}
