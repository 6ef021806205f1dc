//! What a caller of `send` sees: typed answers, clear refusals, retries that do not show, keys that are kept.
use crate::{
    bank::{Account, AccountError, AccountEvent, BANK, Open, Pay, bank, on_each, opened, paid_in},
    trials::trial,
};
use cqrs_core::{
    App, Call, Command, Dep, Error, ErrorKind, Fault, Metadata, Middleware, Never, Next, Query, Repo, Result, Verdict,
    app::Kind, handler, storage::Memory,
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
        trial("bus: what no app discovered is told", undiscovered),
        trial("bus: a deadline ends the handler, and one that is over begins none", deadline),
        trial("bus: layers run from the first to the last, and see how it ended", layers),
        trial("bus: a layer refuses", refusal),
        trial("bus: a layer that neither runs nor refuses is told", idle_layer),
        trial("bus: a rejection by the command's own first effect is answered", own_effect),
        trial("bus: a module may be discovered with one inside it", nested),
        trial("bus: functions of one name in one module are two", namesakes),
    ];
    trials.extend(on_each("bus: answers are typed, refusals are told apart", refusals));
    trials.extend(on_each("bus: fifty callers of one account all get through", conflicts));
    trials.extend(on_each("bus: a key gives the first answer again", keys));
    trials.extend(on_each("bus: eighty callers with twenty keys do twenty commands", many_keys));
    trials
}

async fn refusals(app: App) {
    let app = app.build().expect("it fits together");
    opened(&app, "kim").await;
    assert_eq!(app.send(Pay { id: "kim".into(), amount: 5 }).await.expect("it is paid"), 5);
    let absent = app.send(Pay { id: "lee".into(), amount: 5 }).await.expect_err("there is none");
    assert_eq!((absent.kind(), &*absent.to_string()), (ErrorKind::NotFound, "account lee not found"));
    let poor = app.send(Pay { id: "kim".into(), amount: -6 }).await.expect_err("it is too much");
    assert!(matches!(poor, Error::Domain(AccountError::Insufficient(5))), "{poor}");
    assert_eq!((poor.kind(), &*poor.reason()), (ErrorKind::Precondition, "INSUFFICIENT"));
    let again = app.send(Open { id: "kim".into(), name: "other".into() }).await.expect_err("it is there");
    assert!(matches!(again, Error::Exists { .. }), "{again}");
    let taken = app.send(Open { id: "lee".into(), name: "name of kim".into() }).await.expect_err("it is taken");
    assert_eq!((&*taken.reason(), &*taken.to_string()), ("TAKEN", "account.name name of kim is taken"));
    assert_eq!(paid_in(&app, "kim", 0).await, 5);
}

#[derive(Clone, Query)]
struct Lost;
#[handler]
async fn lost(_: Lost) -> Result<(), Never> {
    Ok(())
}

async fn undiscovered() {
    let app = bank(Memory::new()).build().expect("it fits together");
    let error = app.send(Lost).await.expect_err("nobody discovered it");
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(error.to_string(), "bank did not discover `it::bus::lost`: `.discover(...)` its crate");
}

async fn nested() {
    let app = App::new("bus").discover(module_path!()).discover("it::bus::inside").discover("it::bus::inside");
    let app = app.provide(Arc::new(Gate::default())).provide(Arc::new(AtomicU32::new(0)));
    let app = app.aggregate(cqrs_core::Rows::<Account>::new()).build().expect("the second adds nothing, and may");
    assert_eq!(app.send(inside::Inside).await.expect("it is there"), 1);
}
mod inside {
    use cqrs_core::{Never, Query, Result, handler};
    #[derive(Clone, Query)]
    pub(super) struct Inside;
    #[handler]
    async fn answer(_: Inside) -> Result<u32, Never> {
        Ok(1)
    }
}

/// Inside functions `module_path!()` is the same.
mod twins {
    use cqrs_core::{Query, handler};
    pub(super) fn one() -> impl cqrs_core::Handled<Output = u32, Error = cqrs_core::Never, Sent = cqrs_core::AsQuery> {
        #[derive(Clone, Query)]
        struct One;
        #[handler]
        async fn answer(_: One) -> cqrs_core::Result<u32, cqrs_core::Never> {
            Ok(1)
        }
        One
    }
    pub(super) fn two() -> impl cqrs_core::Handled<Output = u32, Error = cqrs_core::Never, Sent = cqrs_core::AsQuery> {
        #[derive(Clone, Query)]
        struct Two;
        #[handler]
        async fn answer(_: Two) -> cqrs_core::Result<u32, cqrs_core::Never> {
            Ok(2)
        }
        Two
    }
}
async fn namesakes() {
    let app = App::new("twins").discover("it::bus::twins").build().expect("it fits together");
    assert_eq!(app.send(twins::one()).await.expect("it is there"), 1);
    assert_eq!(app.send(twins::two()).await.expect("it is there"), 2);
}

async fn conflicts(app: App) {
    let app = app.build().expect("it fits together");
    opened(&app, "kim").await;
    let pay = |_| {
        let app = app.clone();
        tokio::spawn(async move { app.send(Pay { id: "kim".into(), amount: 1 }).await })
    };
    let mut answers: Vec<_> =
        join_all((0..50).map(pay)).await.into_iter().map(|it| it.expect("no panic").expect("it is paid")).collect();
    answers.sort_unstable();
    assert_eq!(answers, (1..=50).collect::<Vec<_>>());
}

async fn keys(app: App) {
    let app = app.build().expect("it fits together");
    opened(&app, "kim").await;
    let with = |caller: &str| app.with(Metadata::default().caller(caller).key("monday"));
    let pay = |amount| Pay { id: "kim".into(), amount };
    let first = with("kim").send_at(pay(5)).await.expect("it is paid");
    assert_eq!(first.0, 5);
    paid_in(&app, "kim", 10).await;
    assert_eq!(with("kim").send_at(pay(5)).await.expect("it was paid"), first);
    let reused = with("kim").send(pay(6)).await.expect_err("another command");
    assert_eq!((reused.kind(), &*reused.reason()), (ErrorKind::AlreadyExists, "IDEMPOTENCY_KEY_REUSED"));
    assert_eq!(with("lee").send(pay(5)).await.expect("another caller's key"), 20);
    // A rejection is not kept: the same key may be tried again.
    let later = app.with(Metadata::default().key("later"));
    let _ = later.send(pay(-30)).await.expect_err("it is too much");
    paid_in(&app, "kim", 10).await;
    assert_eq!(later.send(pay(-30)).await.expect("now there is enough"), 0);
    // Open loads nothing, so its answer is found by the commit.
    let once = app.with(Metadata::default().key("o"));
    for _ in 0..2 {
        once.send(Open { id: "lee".into(), name: "lee".into() }).await.expect("it opens, and was opened");
    }
}

async fn many_keys(app: App) {
    let app = app.build().expect("it fits together");
    opened(&app, "kim").await;
    let pay = |caller: u32| {
        let app = app.with(Metadata::default().key(format!("key {}", caller / 4)));
        tokio::spawn(async move { app.send(Pay { id: "kim".into(), amount: 1 }).await })
    };
    let answers = join_all((0..80).map(pay)).await.into_iter();
    let answers: Vec<_> = answers.map(|it| it.expect("no panic").expect("it is paid")).collect();
    let mut firsts: Vec<_> = answers.chunks(4).map(|four| four[0]).collect();
    assert!(answers.chunks(4).all(|four| four.iter().all(|it| *it == four[0])), "{answers:?}");
    firsts.sort_unstable();
    assert_eq!(firsts, (1..=20).collect::<Vec<_>>());
    assert_eq!(paid_in(&app, "kim", 0).await, 20);
}

/// Holds the first who comes.
#[derive(Default)]
struct Gate {
    came: AtomicU32,
    go: Notify,
}
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
struct PayOut {
    id: String,
}
#[handler]
async fn pay_out(command: PayOut, accounts: Repo<Account>, gate: Dep<Gate>) -> Result<i64, AccountError> {
    // The answer is looked up here, and is not there yet.
    let _ = accounts.find(&"nobody".to_owned()).await?;
    if gate.came.fetch_add(1, Ordering::SeqCst) == 0 {
        gate.go.notified().await;
    }
    let emptied = accounts.update(&command.id, |account| match account.balance {
        0 => Err(AccountError::Insufficient(0)),
        all => Ok(AccountEvent::Paid { id: account.id.clone(), amount: -all }),
    });
    Ok(emptied.await?.balance)
}

async fn own_effect() {
    let gate = Arc::new(Gate::default());
    let app = bank(Memory::new()).discover(module_path!()).provide(gate.clone()).provide(Arc::new(AtomicU32::new(0)));
    let app = app.build().expect("it fits together");
    opened(&app, "kim").await;
    paid_in(&app, "kim", 5).await;
    let send = || {
        let with = app.with(Metadata::default().key("all"));
        tokio::spawn(async move { with.send(PayOut { id: "kim".into() }).await })
    };
    let slow = send();
    while gate.came.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(send().await.expect("no panic").expect("there is enough"), 0);
    gate.go.notify_one();
    assert_eq!(slow.await.expect("no panic").expect("it is answered, not rejected"), 0);
}

#[derive(Clone, Query)]
struct Dawdle;
#[handler]
async fn dawdle(_: Dawdle, begun: Dep<AtomicU32>) -> Result<(), Never> {
    begun.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(30)).await;
    Ok(())
}

async fn deadline() {
    let begun = Arc::new(AtomicU32::new(0));
    let app = App::new("slow").discover(module_path!()).discover(BANK).provide(begun.clone());
    let app = app.provide(Arc::new(Gate::default())).aggregate(cqrs_core::Rows::<Account>::new());
    let app = app.build().expect("it fits together");
    let until =
        |millis| app.with(Metadata::default().deadline(chrono::Utc::now() + chrono::TimeDelta::milliseconds(millis)));
    let started = Instant::now();
    let error = until(30).send(Dawdle).await.expect_err("it takes too long");
    assert_eq!((error.kind(), &*error.reason()), (ErrorKind::Deadline, "DEADLINE_EXCEEDED"));
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(until(-1).send(Dawdle).await.expect_err("it is over").kind(), ErrorKind::Deadline);
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}

type Notes = Arc<Mutex<Vec<String>>>;
struct Layer(&'static str, Notes);
#[async_trait::async_trait]
impl Middleware for Layer {
    async fn around(&self, call: &Call<'_>, next: Next<'_>) -> std::result::Result<Verdict, Fault> {
        let note = |text: String| self.1.lock().expect("no panic").push(text);
        note(format!("{} before {:?} {}", self.0, call.kind, call.name));
        let verdict = next.run().await?;
        note(format!("{} after {verdict:?}", self.0));
        Ok(verdict)
    }
}

async fn layers() {
    let notes = Notes::default();
    let app = bank(Memory::new()).layer(Layer("outer", notes.clone())).layer(Layer("inner", notes.clone()));
    let app = app.build().expect("it fits together");
    opened(&app, "kim").await;
    let _ = app.send(Pay { id: "kim".into(), amount: -1 }).await.expect_err("it is too much");
    assert_eq!(
        *notes.lock().expect("no panic"),
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
    async fn around(&self, call: &Call<'_>, next: Next<'_>) -> std::result::Result<Verdict, Fault> {
        match (call.kind, call.name) {
            (Kind::Command, "Pay") => Err(Fault::unavailable("the bank is closed")),
            (Kind::Command, "Rename") => Ok(Verdict::Done),
            _ => next.run().await,
        }
    }
}

async fn refusal() {
    let app = bank(Memory::new()).layer(Closed).build().expect("it fits together");
    opened(&app, "kim").await;
    let error = app.send(Pay { id: "kim".into(), amount: 1 }).await.expect_err("it is closed");
    assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::Unavailable, "the bank is closed"));
}

async fn idle_layer() {
    let app = bank(Memory::new()).layer(Closed).build().expect("it fits together");
    let rename = crate::bank::Rename { id: "kim".into(), name: "lee".into() };
    let error = app.send(rename).await.expect_err("nothing was run");
    assert_eq!(error.to_string(), "a layer neither ran the request nor refused it");
}
