//! Memory that fails on request: before a commit, after a commit, or on a read of checkpoints.
use crate::{
    bank::{BANK, Pay, PaymentMade, bank, opened, paid_in, until},
    listener::{LISTENER, Script, Scripted, record},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, ErrorKind, Fault, Metadata, Position, RetryPolicy, StateStored,
    storage::{Batch, CommitError, Loaded, Memory, Storage, StoredRow},
    testing::{StorageLayer, TestApp},
    transport::{Partition, Signal},
};
use libtest_mimic::Trial;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "flaky: after a commit with an unknown outcome a command with an idempotency key returns its response",
            unknown,
        ),
        trial(
            "flaky: without a look-up of the response, a retry of what was done is a fault and no refusal",
            no_look_up,
        ),
        trial("flaky: a commit is finished and noted although its caller has hung up", hung_up),
        trial("flaky: a commit that fails is a fault and changes nothing", failed),
        trial("flaky: a relay goes on after its checkpoint could not be stored", relay),
        trial("flaky: a projection goes on after its database has failed", projection),
        trial("flaky: a projection on a topic retries the read of its checkpoint", placing),
        trial("flaky: a subscriber that hides an outage of the database is called until it is over", hidden),
    ]
}

#[derive(Clone, Default)]
pub(crate) struct Flaky {
    memory: Memory,
    faults: Arc<Faults>,
}
/// The number of next calls that fail, by kind of call.
#[derive(Default)]
struct Faults {
    before_commit: AtomicU32,
    after_commit: AtomicU32,
    checkpoints: AtomicU32,
    responses: AtomicU32,
    rows: AtomicU32,
    /// Commits wait until they get a permit, once this is set.
    gate: std::sync::OnceLock<tokio::sync::Semaphore>,
}
fn fails(left: &AtomicU32) -> Result<(), Fault> {
    match left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)) {
        Ok(_) => Err(Fault::unavailable("seeded: the database is down")),
        Err(_) => Ok(()),
    }
}
impl Flaky {
    /// Makes this many of the next reads of checkpoints and readiness checks fail.
    pub(crate) fn fail_next(&self, times: u32) {
        self.faults.checkpoints.store(times, SeqCst);
    }
}
#[async_trait]
impl StorageLayer for Flaky {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn ready(&self) -> Result<(), Fault> {
        fails(&self.faults.checkpoints)
    }
    async fn checkpoints(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        fails(&self.faults.checkpoints)?;
        self.memory.checkpoints(readers).await
    }
    async fn row(&self, kind: &str, id: &str, response: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        fails(&self.faults.rows)?;
        self.memory.row(kind, id, response).await
    }
    async fn response(&self, key: &str) -> Result<Option<cqrs_core::storage::StoredResponse>, Fault> {
        fails(&self.faults.responses)?;
        self.memory.response(key).await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        if let Some(gate) = self.faults.gate.get() {
            gate.acquire().await.expect("the gate is never closed").forget();
        }
        fails(&self.faults.before_commit)?;
        let position = self.memory.commit(batch).await?;
        fails(&self.faults.after_commit).map_err(|_| Fault::outcome_unknown("seeded: the connection was lost"))?;
        Ok(position)
    }
}

fn five() -> Pay {
    Pay { id: "kim".into(), amount: 5 }
}
async fn unknown() {
    let flaky = Flaky::default();
    let app = bank(flaky.clone()).build().expect("the app builds");
    opened(&app, "kim").await;
    flaky.faults.after_commit.store(1, SeqCst);
    let keyed = app.with(Metadata::default().key("once"));
    assert_eq!(keyed.send(five()).await.expect("the response is looked up"), 5);
    flaky.faults.after_commit.store(1, SeqCst);
    let error = app.send(five()).await.expect_err("without a key the outcome is unknown");
    assert_eq!((error.kind(), &*error.reason()), (ErrorKind::OutcomeUnknown, "OUTCOME_UNKNOWN"));
    assert_eq!(paid_in(&app, "kim", 0).await, 10);
}
async fn no_look_up() {
    let flaky = Flaky::default();
    let app = bank(flaky.clone()).build().expect("the app builds");
    let keyed = app.with(Metadata::default().key("once"));
    let open = || crate::bank::Open { id: "kim".into(), name: "kim".into() };
    keyed.send(open()).await.expect("the account opens");
    // `Open` loads nothing, so only the commit and the look-up after it find the response.
    flaky.faults.responses.store(1, SeqCst);
    let error = keyed.send(open()).await.expect_err("the response cannot be looked up");
    assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::Unavailable, "seeded: the database is down"));
    keyed.send(open()).await.expect("the stored response is returned");
}
async fn hung_up() {
    let flaky = Flaky::default();
    let app = TestApp::start(bank(flaky.clone())).await.expect("the app starts");
    opened(&app, "kim").await;
    app.settle().await;
    let gate = flaky.faults.gate.get_or_init(|| tokio::sync::Semaphore::new(0));
    let mut sending = Box::pin(app.send(five()));
    // The first poll runs the handler and waits in the commit.
    assert!(futures_util::poll!(sending.as_mut()).is_pending());
    drop(sending);
    gate.add_permits(1000);
    until("the payment is committed", async || {
        app.storage().row("account", "kim", None).await.is_ok_and(|row| row.found.version == 2)
    })
    .await;
    // The commit was noted, so this read waits for its event.
    let card = app.send(crate::bank::FindCard("kim".into())).await.expect("the view catches up");
    assert_eq!(card.expect("the card exists").balance, 5);
    assert!(app.stop().await);
}
async fn failed() {
    let flaky = Flaky::default();
    let app = bank(flaky.clone()).build().expect("the app builds");
    opened(&app, "kim").await;
    flaky.faults.before_commit.store(2, SeqCst);
    let error = app.send(five()).await.expect_err("the database is down");
    assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::Unavailable, "seeded: the database is down"));
    let keyed = app.with(Metadata::default().key("once"));
    let _ = keyed.send(five()).await.expect_err("the database is still down");
    assert_eq!(keyed.send(five()).await.expect("the database is up again"), 5);
}

/// Pays once, and retries with one idempotency key until it succeeds.
async fn paid_despite_faults(app: &App, amount: i64) {
    let keyed = app.with(Metadata::default().key(Uuid::now_v7().to_string()));
    while let Err(error) = keyed.send(Pay { id: "kim".into(), amount }).await {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
}

async fn relay() {
    let (flaky, script) = (Flaky::default(), Arc::new(Script::default()));
    let app = bank(flaky.clone()).discover_part(LISTENER).provide(script.clone());
    let app = TestApp::start(app).await.expect("the app starts");
    opened(&app, "kim").await;
    for amount in 0..30 {
        // The next commit fails, whether of the relay, a projection, the group or a payment.
        paid_despite_faults(&app, amount).await;
        let hit = if amount % 2 == 0 { &flaky.faults.before_commit } else { &flaky.faults.after_commit };
        hit.store(1, SeqCst);
    }
    paid_despite_faults(&app, 30).await;
    until("all payments are handled", async || script.of("kim").last() == Some(&30)).await;
    app.settle().await;
    assert_eq!(script.of("kim").len() as u32, script.calls());
    let mut handled = script.of("kim");
    handled.dedup(); // a handler runs again, immediately after, when its commit failed
    assert_eq!(handled, (0..=30).collect::<Vec<_>>());
    assert!(app.stop().await);
}

async fn projection() {
    let flaky = Flaky::default();
    let app = TestApp::start(bank(flaky.clone())).await.expect("the app starts");
    opened(&app, "kim").await;
    for amount in 1..=10 {
        paid_despite_faults(&app, 1).await;
        flaky.faults.before_commit.store(1, SeqCst);
        let card =
            app.send(crate::bank::FindCard("kim".into())).await.expect("the view catches up").expect("the card exists");
        assert_eq!(card.balance, amount);
    }
    assert!(app.stop().await);
}
/// The broker's offset differs from the checkpoint. Without a seek, records between them would be lost or applied
/// twice.
async fn placing() {
    let flaky = Flaky::default();
    let (transport, emit, notes) = Scripted::new();
    let app = App::builder("bank").discover_part(BANK).discover_part("it::relay::turnover").storage(flaky.clone());
    let app = TestApp::start(app.aggregate(StateStored::<crate::bank::Account>::new()).transport(transport)).await;
    let app = app.expect("the app starts");
    let place = Partition {
        topic: record(&PaymentMade { id: "kim".into(), amount: 1 }, 1, Uuid::nil()).topic,
        part: "0".into(),
    };
    flaky.faults.checkpoints.store(2, SeqCst);
    emit(Signal::Assigned(vec![place.clone()]));
    until("the reader has sought its checkpoint", async || notes.sought() == [(place.to_string(), 0)]).await;
    assert_eq!(flaky.faults.checkpoints.load(SeqCst), 0);
    assert!(app.stop().await);
}

mod hiding {
    use crate::bank::{Account, AccountEvent};
    use cqrs_core::{BoxError, Recorded, Repo, subscriber};

    /// Its error does not say that the database is down.
    #[subscriber(group = "bank.hiding", from = "beginning")]
    async fn hiding(event: Recorded<AccountEvent>, accounts: Repo<Account>) -> Result<(), BoxError> {
        accounts.find(&event.aggregate_id).await.map_err(|_| "seeded: there is no account")?;
        Ok(())
    }
}
async fn hidden() {
    let flaky = Flaky::default();
    opened(&bank(flaky.clone()).build().expect("the app builds"), "kim").await;
    flaky.faults.rows.store(4, SeqCst);
    let mut retry_policy = RetryPolicy::default();
    retry_policy.attempts = 2;
    (retry_policy.first, retry_policy.longest) = (Duration::from_millis(1), Duration::from_millis(2));
    let app = bank(flaky.clone()).discover_part("it::flaky::hiding").retry_policy(retry_policy);
    let app = TestApp::start(app).await.expect("the app starts");
    app.settle().await;
    assert_eq!(flaky.faults.rows.load(SeqCst), 0);
    let parked = app.parked().list(&Default::default()).await.expect("the parked keys can be listed");
    assert!(parked.is_empty(), "{parked:?}");
    assert!(app.stop().await);
}
