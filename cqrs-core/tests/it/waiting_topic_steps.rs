//! A topic that the broker refuses, step by step on a clock of the test: its attempts, and its return to the others.
use crate::{
    bank::{Rename, bank, opened, paid_in},
    clock::Clock,
    listener::lock,
    logs::{Lines, logged_trial},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, ByteBudget, Fault, Position,
    environment::Environment,
    event::{Entry, shard_of},
    job::Step,
    relay::Relay,
    storage::{Batch, CommitError, Memory, ReadLimit, Storage},
    testing::StorageLayer,
    transport::{Audience, Published, Record, Subscription, Transport, TransportError},
};
use libtest_mimic::Trial;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};
use tokio::sync::Semaphore;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("waiting topic steps: one record is tried after half a second, and the others follow together", tried),
        trial("waiting topic steps: a record that is accepted makes the other shards try theirs at once", other_shards),
        trial("waiting topic steps: a record that is refused for good says nothing about its topic", refused_for_good),
        logged_trial("waiting topic steps: health and one log line name a topic until its records are sent", reported),
        trial("waiting topic steps: the other topics wait for one that is about to join them", joins),
        trial("waiting topic steps: the other topics wait for a second at most", joins_late),
        trial(
            "waiting topic steps: a topic that joins the others during an outage is stored as joined",
            joins_in_outage,
        ),
    ]
}

const NAMES: &str = "bank.names.v1";

/// A broker that refuses topics, and ends publishes when the test lets it.
#[derive(Clone)]
struct Broker(Arc<Script>);
struct Script {
    refused: Mutex<BTreeSet<String>>,
    /// The positions of each publish, in the order in which they began.
    published: Mutex<Vec<Vec<u64>>>,
    /// One permit for each publish that may end.
    may_end: Semaphore,
    /// The keys whose records are refused for good.
    unwanted: Mutex<BTreeSet<String>>,
    /// It accepts no record of any topic.
    is_down: AtomicBool,
}
#[async_trait]
impl Transport for Broker {
    async fn ensure_topics(&self, _: &[&str]) -> Result<(), TransportError> {
        Ok(())
    }
    fn audiences(&self, _: &[&str]) -> Vec<Audience> {
        vec![Audience::broker()]
    }
    async fn publish(&self, _: &Audience, records: &[Record]) -> Published {
        lock(&self.0.published).push(records.iter().map(|record| record.position.0).collect());
        self.0.may_end.acquire().await.expect("the semaphore is never closed").forget();
        if self.0.is_down.load(SeqCst) {
            return Published { acknowledged: 0, error: Some(TransportError::transient("seeded: the broker is down")) };
        }
        let is_refused = |record: &Record| lock(&self.0.refused).contains(&record.topic);
        let is_unwanted = |record: &Record| lock(&self.0.unwanted).contains(&record.key);
        let is_accepted = |record: &&Record| !is_refused(record) && !is_unwanted(record);
        let acknowledged = records.iter().take_while(is_accepted).count();
        let error = records.get(acknowledged).map(|record| match is_unwanted(record) {
            true => TransportError::permanent("seeded: the record is too large"),
            false => TransportError::transient("seeded: no right").of_topic(),
        });
        Published { acknowledged, error }
    }
    async fn subscribe(&self, _: &str, _: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        Err(TransportError::permanent("nothing subscribes here"))
    }
}

/// Memory that notes the byte limits of the reads for topics that wait, and refuses commits on request.
#[derive(Clone)]
struct Noting {
    memory: Memory,
    limits: Arc<Mutex<Vec<usize>>>,
    is_down: Arc<AtomicBool>,
}
/// The page size of the reads for topics that wait. Those for all topics of a shard have another limit.
const PAGE: usize = 512;
#[async_trait]
impl StorageLayer for Noting {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn outgoing_entries(
        &self,
        shards: &[(u16, Position)],
        upto: Position,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        if limit.entries == PAGE {
            lock(&self.limits).push(limit.bytes);
        }
        self.memory.outgoing_entries(shards, upto, limit).await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        if self.is_down.load(SeqCst) {
            return Err(Fault::unavailable("seeded: the database is down").into());
        }
        self.memory.commit(batch).await
    }
}

struct Scene {
    clock: Clock,
    storage: Noting,
    broker: Broker,
    app: App,
    relay: Relay,
}
impl Scene {
    /// Starts a relay. Account "kim" is opened at position 1, and the broker refuses its names.
    async fn new() -> Self {
        let clock = Clock::default();
        let environment: Arc<dyn Environment> = Arc::new(clock.clone());
        let memory = Memory::with(environment.clone());
        let storage = Noting { memory, limits: Arc::default(), is_down: Arc::default() };
        let broker = Broker(Arc::new(Script {
            refused: Mutex::new([NAMES.to_owned()].into()),
            published: Mutex::default(),
            may_end: Semaphore::new(0),
            unwanted: Mutex::default(),
            is_down: AtomicBool::new(false),
        }));
        let app = bank(storage.clone()).discover_part("it::refused_topic::names").transport(broker.clone());
        let app = app.environment(environment).build().expect("the app builds");
        opened(&app, "kim").await;
        let relay = app.relays().pop().expect("there is one audience");
        Scene { clock, storage, broker, app, relay }
    }
    async fn rename(&self, name: &str) {
        self.rename_of("kim", name).await;
    }
    async fn rename_of(&self, id: &str, name: &str) {
        self.app.send(Rename { id: id.into(), name: name.into() }).await.expect("the account is renamed");
    }
    async fn pay(&self) {
        paid_in(&self.app, "kim", 1).await;
    }
    /// Takes steps at a time, in which this many publishes may end, and returns the publishes that have begun in them.
    async fn steps_at(&mut self, milliseconds: i64, ends: usize) -> Vec<Vec<u64>> {
        self.clock.set(milliseconds);
        self.broker.0.may_end.add_permits(ends);
        for _ in 0..10 {
            self.relay.step().await.expect("the step succeeds");
        }
        std::mem::take(&mut *lock(&self.broker.0.published))
    }
    fn accept(&self) {
        lock(&self.broker.0.refused).clear();
    }
    /// Returns the error of the health component `topics`.
    async fn health(&self) -> Option<String> {
        let components = self.app.health().await.components;
        components.into_iter().find(|component| component.name == "topics").and_then(|component| component.error)
    }
    /// Returns the stored checkpoint of the account's shard, and the stored number of its topics that wait.
    async fn stored(&self) -> (u64, u64) {
        let shard = shard_of("kim");
        let readers = [format!("relay/{shard}"), format!("relay/{shard}/waiting")];
        let stored = self.storage.memory.checkpoints(&readers).await.expect("the memory answers");
        (stored[0], stored[1])
    }
}

async fn tried() {
    let mut scene = Scene::new().await;
    scene.rename("a").await;
    scene.pay().await;
    scene.rename("b").await;
    scene.rename("c").await;
    assert_eq!(scene.steps_at(0, 2).await, [vec![2, 3, 4, 5], vec![3]], "the payment does not wait");
    assert!(scene.steps_at(499, 1).await.is_empty());
    scene.clock.set(500);
    assert_eq!(scene.relay.step().await.expect("the step succeeds"), Step::Did(1));
    assert_eq!(scene.steps_at(500, 0).await, [[2]], "one record shows whether the topic is accepted");
    assert_eq!(scene.stored().await, (1, 1));
    scene.accept();
    lock(&scene.storage.limits).clear();
    assert!(scene.steps_at(999, 0).await.is_empty());
    assert_eq!(scene.steps_at(1_000, 2).await, [vec![2], vec![4, 5]]);
    let budget = ByteBudget::default().relay;
    let limits = [budget / 16, budget / 17];
    assert_eq!(**lock(&scene.storage.limits), limits, "sixteen shards share the budget with a topic that catches up");
    scene.steps_at(1_050, 0).await;
    assert_eq!(scene.stored().await, (5, 0), "50 ms after the topic has joined the others, no topic waits");
}

/// Refuses a name of account "kim" at position 3 three times, so that its next attempt is at four seconds, and then a name
/// of account "lee", in another shard, at position 4. Its next attempt is at three seconds.
async fn in_two_shards() -> Scene {
    assert_ne!(shard_of("kim"), shard_of("lee"));
    let mut scene = Scene::new().await;
    opened(&scene.app, "lee").await;
    scene.rename("a").await;
    for milliseconds in [0, 500, 1_000, 2_000] {
        assert_eq!(scene.steps_at(milliseconds, 1).await, [[3]], "at {milliseconds} ms");
    }
    scene.rename_of("lee", "b").await;
    assert_eq!(scene.steps_at(2_100, 1).await, [[4]]);
    scene.accept();
    assert!(scene.steps_at(2_999, 0).await.is_empty());
    scene
}
async fn other_shards() {
    assert_eq!(in_two_shards().await.steps_at(3_000, 2).await, [[4], [3]]);
}
async fn refused_for_good() {
    let mut scene = in_two_shards().await;
    lock(&scene.broker.0.unwanted).insert("lee".to_owned());
    assert_eq!(scene.steps_at(3_000, 2).await, [[4]]);
    assert!(scene.steps_at(3_999, 0).await.is_empty());
    assert_eq!(scene.steps_at(4_000, 0).await, [[3]]);
}

async fn reported(lines: Lines) {
    let mut scene = Scene::new().await;
    scene.broker.0.may_end.add_permits(100);
    scene.rename("a").await;
    for milliseconds in [0, 500, 1_000] {
        assert_eq!(scene.steps_at(milliseconds, 0).await, [[2]], "at {milliseconds} ms");
    }
    assert!(scene.health().await.is_some_and(|error| error.contains(NAMES) && error.contains("no right")));
    scene.pay().await;
    assert_eq!(scene.steps_at(1_100, 0).await, [[3]]);
    scene.storage.is_down.store(true, SeqCst);
    scene.clock.set(1_150);
    scene.relay.step().await.expect_err("the checkpoints cannot be stored");
    assert!(scene.health().await.is_some(), "until the relay has read its progress again, the topic counts as waiting");
    scene.storage.is_down.store(false, SeqCst);
    scene.accept();
    assert!(scene.steps_at(9_000, 0).await.concat().contains(&2));
    assert_eq!(scene.health().await, None);
    for line in ["the broker refuses a topic", "no record to the topic waits in this process any more"] {
        assert_eq!(lines.with(line).len(), 1, "{line}: {}", lines.text());
    }
}

/// Makes a publish of the last record that waits, position 4, and a payment at position 5.
async fn about_to_join() -> Scene {
    let mut scene = Scene::new().await;
    scene.rename("a").await;
    scene.pay().await;
    scene.rename("b").await;
    assert_eq!(scene.steps_at(0, 2).await, [vec![2, 3, 4], vec![3]]);
    scene.accept();
    assert_eq!(scene.steps_at(500, 1).await, [[2], [4]]);
    scene.pay().await;
    scene
}
async fn joins() {
    let mut scene = about_to_join().await;
    assert!(scene.steps_at(1_499, 0).await.is_empty(), "the payment waits");
    scene.rename("c").await;
    assert_eq!(scene.steps_at(1_499, 2).await, [[5, 6]], "they are in one line again");
    scene.steps_at(1_549, 0).await;
    assert_eq!(scene.stored().await, (6, 0));
}
async fn joins_late() {
    let mut scene = about_to_join().await;
    assert_eq!(scene.steps_at(1_500, 0).await, [[5]], "the publish of the topic takes too long");
    assert_eq!(scene.steps_at(1_500, 2).await, [[0; 0]; 0]);
    scene.steps_at(1_550, 0).await;
    assert_eq!(scene.stored().await, (5, 0));
}
async fn joins_in_outage() {
    let mut scene = about_to_join().await;
    assert_eq!(scene.steps_at(1_500, 0).await, [[5]]);
    assert!(scene.steps_at(1_500, 1).await.is_empty(), "the last record that waited is acknowledged");
    scene.steps_at(1_550, 0).await;
    assert_eq!(scene.stored().await, (4, 1), "the topic joins the others when their publish has ended");
    scene.broker.0.is_down.store(true, SeqCst);
    scene.broker.0.may_end.add_permits(100);
    for milliseconds in [1_600, 1_601, 1_651, 1_652] {
        scene.clock.set(milliseconds);
        scene.relay.step().await.expect_err("the broker is down");
    }
    assert_eq!(scene.stored().await, (4, 0));
}
