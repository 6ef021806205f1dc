//! Memory that fails on request: before a commit, after a commit, or on a read of checkpoints.
use crate::{
    bank::{BANK, Pay, PaymentMade, bank, opened, paid_in, until},
    listener::{LISTENER, Script, Scripted, record},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, ErrorKind, Fault, Metadata, Position, StateStored,
    storage::{Batch, CommitError, Memory, Storage},
    testing::{StorageLayer, TestApp},
    transport::{Partition, Signal},
};
use libtest_mimic::Trial;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "flaky: after a commit with an unknown outcome a command with an idempotency key returns its response",
            unknown,
        ),
        trial("flaky: a commit that fails is a fault and changes nothing", failed),
        trial("flaky: a relay goes on after its checkpoint could not be stored", relay),
        trial("flaky: a projection goes on after its database has failed", projection),
        trial("flaky: a projection on a topic retries the read of its checkpoint", placing),
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
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        fails(&self.faults.before_commit)?;
        let position = self.memory.commit(batch).await?;
        fails(&self.faults.after_commit)?;
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
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(paid_in(&app, "kim", 0).await, 10);
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
