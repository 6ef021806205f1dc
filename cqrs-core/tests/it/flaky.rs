//! Memory that fails when told to: before a commit, after one, or on a read of positions.
use crate::{
    bank::{BANK, Pay, Told, bank, opened, paid_in, until},
    listener::{LISTENER, Script, Scripted, record},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, ErrorKind, Fault, Metadata, Position, Rows, Running,
    batch::{Batch, Rejected},
    storage::{Memory, Storage},
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
        trial("flaky: a commit of which nobody knows is answered when it has a key", unknown),
        trial("flaky: a commit that failed is a fault, and changes nothing", failed),
        trial("flaky: a relay goes on after its position could not be stored", relay),
        trial("flaky: a projection goes on after its database failed", projection),
        trial("flaky: a projection on a topic asks again where it is", placing),
    ]
}

#[derive(Clone, Default)]
pub(crate) struct Flaky {
    memory: Memory,
    faults: Arc<Faults>,
}
/// How many of the next calls fail.
#[derive(Default)]
struct Faults {
    before_commit: AtomicU32,
    after_commit: AtomicU32,
    positions: AtomicU32,
}
fn fails(left: &AtomicU32) -> Result<(), Fault> {
    match left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)) {
        Ok(_) => Err(Fault::unavailable("planted: the database is away")),
        Err(_) => Ok(()),
    }
}
impl Flaky {
    /// This many of the next reads of positions fail, and of the questions whether it is ready.
    pub(crate) fn is_away(&self, times: u32) {
        self.faults.positions.store(times, SeqCst);
    }
}
#[async_trait]
impl StorageLayer for Flaky {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn ready(&self) -> Result<(), Fault> {
        fails(&self.faults.positions)
    }
    async fn positions(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        fails(&self.faults.positions)?;
        self.memory.positions(readers).await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, Rejected> {
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
    let app = bank(flaky.clone()).build().expect("it fits together");
    opened(&app, "kim").await;
    flaky.faults.after_commit.store(1, SeqCst);
    let keyed = app.with(Metadata::default().key("once"));
    assert_eq!(keyed.send(five()).await.expect("it is looked up"), 5);
    flaky.faults.after_commit.store(1, SeqCst);
    let error = app.send(five()).await.expect_err("without a key nobody can tell");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(paid_in(&app, "kim", 0).await, 10);
}
async fn failed() {
    let flaky = Flaky::default();
    let app = bank(flaky.clone()).build().expect("it fits together");
    opened(&app, "kim").await;
    flaky.faults.before_commit.store(2, SeqCst);
    let error = app.send(five()).await.expect_err("it is away");
    assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::Unavailable, "planted: the database is away"));
    let keyed = app.with(Metadata::default().key("once"));
    let _ = keyed.send(five()).await.expect_err("it is away still");
    assert_eq!(keyed.send(five()).await.expect("it is back"), 5);
}

/// Paid once, however often it takes.
async fn paid_despite(app: &Running, amount: i64) {
    let keyed = app.with(Metadata::default().key(Uuid::now_v7().to_string()));
    while let Err(error) = keyed.send(Pay { id: "kim".into(), amount }).await {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
}

async fn relay() {
    let (flaky, script) = (Flaky::default(), Arc::new(Script::default()));
    let app = bank(flaky.clone()).discover(LISTENER).provide(script.clone());
    let app = TestApp::start(app).await.expect("it starts");
    opened(&app, "kim").await;
    for amount in 0..30 {
        // Whoever commits next is hit: the relay, a projection, the group or a payment.
        paid_despite(&app, amount).await;
        let hit = if amount % 2 == 0 { &flaky.faults.before_commit } else { &flaky.faults.after_commit };
        hit.store(1, SeqCst);
    }
    paid_despite(&app, 30).await;
    until("all have gone on", async || script.of("kim").last() == Some(&30)).await;
    app.settle().await;
    assert_eq!(script.of("kim").len() as u32, script.calls());
    let mut heard = script.of("kim");
    heard.dedup(); // a handler may run again when its commit failed, next to where it ran
    assert_eq!(heard, (0..=30).collect::<Vec<_>>());
    assert!(app.stop().await);
}

async fn projection() {
    let flaky = Flaky::default();
    let app = TestApp::start(bank(flaky.clone())).await.expect("it starts");
    opened(&app, "kim").await;
    for amount in 1..=10 {
        paid_despite(&app, 1).await;
        flaky.faults.before_commit.store(1, SeqCst);
        let card = app.send(crate::bank::FindCard("kim".into())).await.expect("it catches up").expect("it is there");
        assert_eq!(card.balance, amount);
    }
    assert!(app.stop().await);
}
/// Where the broker would begin is not where the database says; without the seek, what lies between is lost or done twice.
async fn placing() {
    let flaky = Flaky::default();
    let (transport, say, notes) = Scripted::new();
    let app = App::new("bank").discover(BANK).discover("it::relay::turnover").storage(flaky.clone());
    let app = TestApp::start(app.aggregate(Rows::<crate::bank::Account>::new()).transport(transport)).await;
    let app = app.expect("it starts");
    let place =
        Partition { topic: record(&Told { id: "kim".into(), amount: 1 }, 1, Uuid::nil()).topic, part: "0".into() };
    flaky.faults.positions.store(2, SeqCst);
    say(Signal::Assigned(vec![place.clone()]));
    until("it has gone there", async || notes.sought() == [(place.to_string(), 0)]).await;
    assert_eq!(flaky.faults.positions.load(SeqCst), 0);
    assert!(app.stop().await);
}
