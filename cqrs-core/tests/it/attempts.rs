//! The attempts of messages of a topic: their log lines, the parking of a message, and the events of a newer program.
use crate::{
    bank::{PaymentMade, until},
    clock::Clock,
    listener::{GROUP_OF_LISTENER, LISTENER, Script, Scripted, received, record},
    logs::{Lines, logged_trial},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, AppBuilder, BoxError, Dep, Fault, IntegrationEvent, Position, Recorded, RetryPolicy,
    consumer::Consumer,
    environment::Environment,
    storage::{Batch, CommitError, LEFT_TO_NEWER_PROGRAM, Memory, Storage},
    subscriber,
    testing::StorageLayer,
    transport::{ForeignMessage, Partition, Received, Signal},
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        logged_trial("attempts: a failure is logged with its error, and a conflict is no failure", logged),
        trial("attempts: an outage of the database is no attempt, however long it takes", outage),
        trial("attempts: an event of a newer program is left to it, with the later ones of its key", left),
        trial("attempts: a record that no subscriber handles is skipped, even if it cannot be read", skipped),
    ]
}

/// Memory that refuses the next commits of messages that were handled. Other processes use the database as well.
#[derive(Clone, Default)]
struct Refusing {
    memory: Memory,
    conflicts: Arc<AtomicUsize>,
    outages: Arc<AtomicUsize>,
}
#[async_trait]
impl StorageLayer for Refusing {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    fn is_exclusive(&self) -> bool {
        false
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        let takes = |left: &AtomicUsize| {
            batch.parks.is_empty() && left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok()
        };
        if takes(&self.conflicts) {
            return Err(CommitError::Conflict { what: "seeded".into(), exists: false, versions: None });
        }
        if takes(&self.outages) {
            return Err(Fault::unavailable("seeded: the database is down").into());
        }
        self.memory.commit(batch).await
    }
}

fn builder(part: &'static str, storage: &Refusing, script: &Arc<Script>, clock: &Clock) -> AppBuilder {
    let mut retry_policy = RetryPolicy::default();
    (retry_policy.attempts, retry_policy.first) = (3, Duration::from_millis(1));
    retry_policy.circuit_breaker = None;
    let environment: Arc<dyn Environment> = Arc::new(clock.clone());
    let app = App::builder("listener").discover_part(part).provide(script.clone());
    app.storage(storage.clone()).environment(environment).retry_policy(retry_policy)
}
async fn consumer(app: &App) -> Consumer {
    app.consumers().await.expect("the transport has one subscription").remove(0)
}
fn partition() -> Partition {
    Partition { topic: PaymentMade::TOPIC.into(), part: "0".into() }
}
fn payment(id: &str, offset: u64) -> Received {
    let payment = PaymentMade { id: id.into(), amount: 1 };
    received(record(&payment, offset, Uuid::from_u128(u128::from(offset) + 1)), &partition(), offset)
}
/// Returns the record with another type of event.
fn of_type(name: &str, mut record: Received) -> Received {
    record.headers.retain(|(header, _)| header != "ce_type");
    record.headers.push(("ce_type".into(), name.as_bytes().to_vec()));
    record
}
/// Returns the parked messages of an account, each as its error and the number of its attempts.
async fn parked(app: &App, group: &str, account: &str) -> Vec<(String, u32)> {
    let parked = app.parked().show(group, account, 0, 9).await.expect("the memory answers");
    parked.into_iter().map(|message| (message.error, message.attempts)).collect()
}

async fn logged(lines: Lines) {
    let (storage, script, (transport, emit, notes)) =
        (Refusing::default(), Arc::new(Script::default()), Scripted::new());
    let app = builder(LISTENER, &storage, &script, &Clock::default()).transport(transport);
    let app = app.build().expect("the app builds");
    let mut group = consumer(&app).await;
    let running = tokio::spawn(async move { while group.step().await.is_ok() {} });
    script.stuck(["kim"]);
    emit(Signal::Assigned(vec![partition()]));
    emit(Signal::Records(vec![payment("kim", 0)]));
    until("the message is parked", async || notes.acknowledged() == [0]).await;
    let (failed, end) =
        (lines.with("a message failed; it is tried again, and its key waits"), lines.with("message parked"));
    let has_all = |line: &str, parts: &[&str]| parts.iter().all(|part| line.contains(part));
    let error = "seeded: the account is stuck";
    assert_eq!(failed.len(), 2, "{failed:?}");
    for (line, attempt) in failed.iter().zip(["attempt=0", "attempt=1"]) {
        assert!(has_all(line, &["WARN", GROUP_OF_LISTENER, "offset=0", attempt, error]), "{line}");
    }
    assert_eq!(end.len(), 1, "{end:?}");
    assert!(has_all(&end[0], &["ERROR", GROUP_OF_LISTENER, "offset=0", "attempt=2", error]), "{end:?}");

    storage.conflicts.store(5, SeqCst);
    emit(Signal::Records(vec![payment("lee", 1)]));
    until("the message is handled", async || notes.acknowledged().last() == Some(&1)).await;
    assert_eq!((storage.conflicts.load(SeqCst), lines.with("a message failed")), (0, failed));
    running.abort();
}

async fn outage() {
    let (storage, script, (transport, emit, notes)) =
        (Refusing::default(), Arc::new(Script::default()), Scripted::new());
    let app = builder(LISTENER, &storage, &script, &Clock::default()).transport(transport);
    let app = app.build().expect("the app builds");
    let mut group = consumer(&app).await;
    let running = tokio::spawn(async move { while group.step().await.is_ok() {} });
    storage.outages.store(20, SeqCst);
    emit(Signal::Assigned(vec![partition()]));
    emit(Signal::Records(vec![payment("lee", 0)]));
    until("the message is handled", async || notes.acknowledged() == [0]).await;
    assert_eq!((script.of("lee").len(), storage.outages.load(SeqCst)), (21, 0));
    assert!(parked(&app, GROUP_OF_LISTENER, "lee").await.is_empty());
    running.abort();
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "com.example.bank.refunded.v1", topic = "bank.events.v1", key = id)]
struct Refunded {
    id: String,
}
mod old {
    use super::{BoxError, Dep, PaymentMade, Recorded, Script, subscriber};
    #[subscriber(group = "attempts.deployed")]
    async fn paid(event: Recorded<PaymentMade>, script: Dep<Script>) -> Result<(), BoxError> {
        script.handle(&event.event.id, event.amount)
    }
}
mod new {
    use super::{BoxError, Dep, PaymentMade, Recorded, Refunded, Script, subscriber};
    #[subscriber(group = "attempts.deployed")]
    async fn paid(event: Recorded<PaymentMade>, script: Dep<Script>) -> Result<(), BoxError> {
        script.handle(&event.event.id, event.amount)
    }
    #[subscriber(group = "attempts.deployed")]
    async fn refunded(event: Recorded<Refunded>, script: Dep<Script>) -> Result<(), BoxError> {
        script.handle(&event.event.id, 0)
    }
}
const DEPLOYED: &str = "attempts.deployed";

async fn left() {
    let (storage, script, clock) = (Refusing::default(), Arc::new(Script::default()), Clock::default());
    let (transport, emit, notes) = Scripted::new();
    let old = builder("it::attempts::old", &storage, &script, &clock).transport(transport);
    let old = old.build().expect("the app builds");
    let new = builder("it::attempts::new", &storage, &script, &clock).build().expect("the app builds");
    old.migrate().await.expect("the program is declared");
    new.migrate().await.expect("the newer program is declared");
    clock.advance(1_000);
    let mut group = consumer(&old).await;
    let running = tokio::spawn(async move { while group.step().await.is_ok() {} });
    emit(Signal::Assigned(vec![partition()]));
    let refund = of_type(Refunded::NAME, payment("kim", 0));
    emit(Signal::Records(vec![refund, payment("kim", 1), payment("lee", 2)]));
    until("all are acknowledged", async || notes.acknowledged().last() == Some(&2)).await;
    let error = LEFT_TO_NEWER_PROGRAM.to_owned();
    assert_eq!(parked(&old, DEPLOYED, "kim").await, [(error.clone(), 1), (error, 0)]);
    assert_eq!(script.handled(), [("lee".to_owned(), 1)]);
    running.abort();
}

/// Decodes the first record of the topic as a refund, and the others as payments.
fn decode(record: &Received) -> Result<Option<ForeignMessage>, BoxError> {
    let id = String::from_utf8(record.key.clone().unwrap_or_default())?;
    Ok(Some(match record.offset {
        0 => ForeignMessage::new(&Refunded { id })?,
        _ => ForeignMessage::new(&PaymentMade { id, amount: 1 })?,
    }))
}
async fn skipped() {
    for is_foreign in [false, true] {
        let (storage, script, clock) = (Refusing::default(), Arc::new(Script::default()), Clock::default());
        let (transport, emit, notes) = Scripted::new();
        let app = builder("it::attempts::old", &storage, &script, &clock).transport(transport);
        let app = if is_foreign { app.foreign_topic(PaymentMade::TOPIC, decode) } else { app };
        let app = app.build().expect("the app builds");
        let mut group = consumer(&app).await;
        let running = tokio::spawn(async move { while group.step().await.is_ok() {} });
        let broken = Received { body: None, ..of_type(Refunded::NAME, payment("kim", 0)) };
        emit(Signal::Assigned(vec![partition()]));
        emit(Signal::Records(vec![broken, payment("kim", 1)]));
        until("both are acknowledged", async || notes.acknowledged().last() == Some(&1)).await;
        assert!(parked(&app, DEPLOYED, "kim").await.is_empty(), "foreign: {is_foreign}");
        assert_eq!(script.handled(), [("kim".to_owned(), 1)], "foreign: {is_foreign}");
        running.abort();
    }
}
