//! The relay step by step, on a clock of the test: leases, shares, publishes in progress, and checkpoints.
use crate::{
    bank::{Account, bank, opened, paid_in, until},
    clock::Clock,
    listener::lock,
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, Fault, Position, StateStored,
    app::DRAIN,
    environment::Environment,
    event::{RELAY_SHARDS, shard_of},
    job::Step,
    relay::Relay,
    storage::{Batch, CommitError, Lease, Memory, Storage},
    testing::StorageLayer,
    transport::{Audience, Published, Record, Subscription, Transport, TransportError},
};
use libtest_mimic::Trial;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::sync::Semaphore;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "relay steps: a relay alone renews its leases after a third of them, and after its clock was set back",
            alone,
        ),
        trial("relay steps: two relays share the shards, and look at each other every half second", shared),
        trial("relay steps: relays with short leases look at each other three times in a lease", short_leases),
        trial("relay steps: a relay that stops changing its note is taken for dead after two thirds of a lease", dead),
        trial("relay steps: a relay that takes steps is never taken for dead", alive),
        trial("relay steps: a relay whose note was removed while it was frozen stores it again", frozen),
        trial("relay steps: a relay that stops removes its note and its leases", stopped),
        trial(
            "relay steps: a shard with a publish in progress leaves when that ends, or after thirty seconds",
            leaving,
        ),
        trial("relay steps: a shard that leaves has stored its checkpoint", leaving_stored),
        trial("relay steps: a publish goes on while its lease is renewed", renewed_in_flight),
        trial("relay steps: a lease that another relay had in between is taken for a new one", new_epoch),
        trial("relay steps: a broker has one publish of a shard at a time", one_at_a_time),
        trial("relay steps: where groups acknowledge, further messages replace a publish in progress", replaced),
        trial("relay steps: where groups acknowledge, events without messages replace no publish", not_replaced),
        trial("relay steps: the result of a replaced publish is ignored", outdated_result),
        trial("relay steps: a step reports the messages that it has started or acknowledged", reported),
        trial("relay steps: a step ends after a quarter of the lease, or when checkpoints are due", step_ends),
        trial("relay steps: checkpoints are stored together, 50 ms after the first acknowledgement", stored_together),
        trial(
            "relay steps: a record that is refused for good is parked in the same step, and an outage is reported",
            refused,
        ),
        trial("relay steps: parked keys are read once by a relay to a broker, and never by others", parked_read_once),
        trial("relay steps: a step reports the messages that it has parked", parked_reported),
        trial("relay steps: a relay looks up the keys of a batch when more are parked than it knows", many_parked),
        trial(
            "relay steps: the progress of topics that wait is read with new shards alone, and by no group",
            progress_read,
        ),
        trial("relay steps: a record that is refused for good leaves the broker's health as it was", broker_health),
        trial("relay steps: a relay that has sent records goes on at the next tick", ticks),
        trial("relay steps: an idle relay reads nothing but the high-water mark", idle),
        trial("relay steps: the budget is shared by the shards and the running relays", budget),
    ]
}

/// The lease of most tests: a third of it is a second.
const LEASE: u64 = 3_000;

/// The checkpoint moves of a commit: reader, from, to.
type Moved = Vec<(String, u64, u64)>;

/// The storage of one process: memory that other processes use as well. It counts the calls of this process.
#[derive(Clone)]
struct Shared {
    memory: Memory,
    leased: Arc<Mutex<Vec<String>>>,
    moved: Arc<Mutex<Vec<Moved>>>,
    looks: Arc<AtomicUsize>,
    notes_written: Arc<AtomicUsize>,
    reads: Arc<AtomicUsize>,
    parked_reads: Arc<AtomicUsize>,
    checkpoint_reads: Arc<AtomicUsize>,
    limits: Arc<Mutex<Vec<usize>>>,
}
#[async_trait]
impl StorageLayer for Shared {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    fn is_exclusive(&self) -> bool {
        false
    }
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        lock(&self.leased).push(reader.to_owned());
        self.memory.lease(reader, owner, ttl).await
    }
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        self.looks.fetch_add(1, SeqCst);
        self.memory.notes(prefix).await
    }
    async fn replace_note(&self, name: &str, expected: Option<&str>, value: Option<&str>) -> Result<bool, Fault> {
        self.notes_written.fetch_add(1, SeqCst);
        self.memory.replace_note(name, expected, value).await
    }
    async fn log(
        &self,
        after: Position,
        upto: Position,
        limit: cqrs_core::storage::ReadLimit,
    ) -> Result<Vec<cqrs_core::event::Entry>, Fault> {
        self.reads.fetch_add(1, SeqCst);
        self.memory.log(after, upto, limit).await
    }
    async fn outgoing_entries(
        &self,
        shards: &[(u16, Position)],
        upto: Position,
        limit: cqrs_core::storage::ReadLimit,
    ) -> Result<Vec<cqrs_core::event::Entry>, Fault> {
        self.reads.fetch_add(1, SeqCst);
        lock(&self.limits).push(limit.bytes);
        self.memory.outgoing_entries(shards, upto, limit).await
    }
    async fn checkpoints(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        self.checkpoint_reads.fetch_add(1, SeqCst);
        self.memory.checkpoints(readers).await
    }
    async fn parked_counts(&self, limit: usize) -> Result<Vec<(String, u64)>, Fault> {
        self.parked_reads.fetch_add(1, SeqCst);
        self.memory.parked_counts(limit).await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        if !batch.checkpoint_moves.is_empty() {
            let moves = batch.checkpoint_moves.iter();
            lock(&self.moved).push(moves.map(|moved| (moved.reader.clone(), moved.from, moved.to)).collect());
        }
        self.memory.commit(batch).await
    }
}

/// A transport whose publishes end when the test lets them.
#[derive(Clone)]
struct Scripted(Arc<Script>);
struct Script {
    audience: Audience,
    /// The positions of each publish, in the order in which they began.
    published: Mutex<Vec<Vec<u64>>>,
    /// One permit for each publish that may end.
    may_end: Semaphore,
    /// The keys that are refused for good.
    refused: Mutex<BTreeSet<String>>,
    /// The keys that cannot be sent for now.
    down: Mutex<BTreeSet<String>>,
}
/// More publishes than any test makes.
const ALL: usize = 100_000;
impl Scripted {
    fn new(audience: Audience, may_end: usize) -> Self {
        Scripted(Arc::new(Script {
            audience,
            published: Mutex::default(),
            may_end: Semaphore::new(may_end),
            refused: Mutex::default(),
            down: Mutex::default(),
        }))
    }
    fn published(&self) -> Vec<Vec<u64>> {
        lock(&self.0.published).clone()
    }
    fn end(&self, publishes: usize) {
        self.0.may_end.add_permits(publishes);
    }
}
#[async_trait]
impl Transport for Scripted {
    async fn ensure_topics(&self, _: &[&str]) -> Result<(), TransportError> {
        Ok(())
    }
    fn audiences(&self, _: &[&str]) -> Vec<Audience> {
        vec![self.0.audience.clone()]
    }
    async fn publish(&self, _: &Audience, records: &[Record]) -> Published {
        lock(&self.0.published).push(records.iter().map(|record| record.position.0).collect());
        self.0.may_end.acquire().await.expect("the semaphore is never closed").forget();
        let is_in = |keys: &Mutex<BTreeSet<String>>, record: &Record| lock(keys).contains(&record.key);
        let fails = |record: &&Record| is_in(&self.0.refused, record) || is_in(&self.0.down, record);
        let acknowledged = records.iter().take_while(|record| !fails(record)).count();
        let error = records.get(acknowledged).map(|record| match is_in(&self.0.refused, record) {
            true => TransportError::permanent("seeded: the record is too large"),
            false => TransportError::transient("seeded: the topic is down"),
        });
        Published { acknowledged, error }
    }
    async fn subscribe(&self, _: &str, _: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        Err(TransportError::permanent("nothing subscribes here"))
    }
}
fn group() -> Audience {
    Audience("mail@bank.events.v1".into())
}

/// A clock and a memory, on which a test starts processes.
struct Scene {
    clock: Clock,
    memory: Memory,
    lease: u64,
}
struct Process {
    app: App,
    relay: Relay,
    storage: Shared,
}
impl Scene {
    fn new(lease: u64) -> Self {
        let clock = Clock::default();
        let environment: Arc<dyn Environment> = Arc::new(clock.clone());
        Scene { clock, memory: Memory::with(environment), lease }
    }
    fn process(&self, transport: &Scripted) -> Process {
        let storage = Shared {
            memory: self.memory.clone(),
            leased: Arc::default(),
            moved: Arc::default(),
            looks: Arc::default(),
            notes_written: Arc::default(),
            reads: Arc::default(),
            parked_reads: Arc::default(),
            checkpoint_reads: Arc::default(),
            limits: Arc::default(),
        };
        let environment: Arc<dyn Environment> = Arc::new(self.clock.clone());
        let app = bank(storage.clone()).transport(transport.clone()).environment(environment);
        let app = app.lease(Duration::from_millis(self.lease)).build().expect("the app builds");
        let relay = app.relays().pop().expect("there is one audience");
        Process { app, relay, storage }
    }
}
impl Process {
    async fn step(&mut self) -> Step {
        self.relay.step().await.expect("the step succeeds")
    }
    /// Takes steps until one has nothing to do.
    async fn until_idle(&mut self) {
        while matches!(self.step().await, Step::Did(_)) {}
    }
    /// Returns the number of shards that the relay holds.
    fn shards(&self) -> usize {
        let text = format!("{:?}", self.relay);
        let number = text.split(", ").nth(1).and_then(|shards| shards.split(' ').next());
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no number of shards in {text}"))
    }
    /// Takes a step, and returns the number of leases and of looks at the other relays.
    async fn calls_at(&mut self, clock: &Clock, at: i64) -> (usize, usize) {
        clock.set(at);
        self.step().await;
        (std::mem::take(&mut *lock(&self.storage.leased)).len(), self.storage.looks.swap(0, SeqCst))
    }
    fn moved(&self) -> Vec<Vec<(String, u64, u64)>> {
        lock(&self.storage.moved).clone()
    }
    async fn checkpoint(&self, id: &str) -> u64 {
        let name = match self.relay.audience().0.as_str() {
            "" => format!("relay/{}", shard_of(id)),
            audience => format!("relay/{audience}/{}", shard_of(id)),
        };
        self.storage.memory.checkpoints(&[name]).await.expect("the memory answers")[0]
    }
}
/// Returns one account of every shard.
fn one_of_each_shard() -> BTreeMap<u16, String> {
    let mut found = BTreeMap::new();
    for id in (0..).map(|number: u32| number.to_string()) {
        found.entry(shard_of(&id)).or_insert(id);
        if found.len() == usize::from(RELAY_SHARDS) {
            break;
        }
    }
    found
}
/// Returns two accounts of one shard.
pub(crate) fn two_of_one_shard() -> [String; 2] {
    let mut found: BTreeMap<u16, String> = BTreeMap::new();
    let pair = (0..).map(|number: u32| number.to_string()).find_map(|id| {
        let former = found.insert(shard_of(&id), id.clone())?;
        Some([former, id])
    });
    pair.expect("there are more numbers than shards")
}
async fn pay(app: &App, id: &str) {
    opened(app, id).await;
    paid_in(app, id, 1).await;
}

async fn alone() {
    let scene = Scene::new(LEASE);
    let mut relay = scene.process(&Scripted::new(Audience::broker(), ALL));
    assert_eq!(relay.calls_at(&scene.clock, 0).await, (16, 1));
    for (at, calls) in [(999, (0, 0)), (1_000, (16, 1)), (1_999, (0, 0)), (2_000, (16, 1))] {
        assert_eq!(relay.calls_at(&scene.clock, at).await, calls, "at {at} ms");
    }
    // The next look is at 3,000 ms. A clock that was set back must not put it off for longer than a lease.
    scene.clock.now.store(1, SeqCst);
    assert_eq!(relay.step().await, Step::IdleFor(Position(0), Duration::from_secs(1)));
    assert!(lock(&relay.storage.leased).is_empty());
    scene.clock.now.store(0, SeqCst);
    relay.step().await;
    assert_eq!(lock(&relay.storage.leased).len(), 16);
}

async fn shared() {
    let (scene, broker) = (Scene::new(LEASE), Scripted::new(Audience::broker(), ALL));
    let (mut first, mut second) = (scene.process(&broker), scene.process(&broker));
    first.calls_at(&scene.clock, 0).await;
    assert_eq!(second.calls_at(&scene.clock, 100).await, (16, 1));
    assert_eq!((first.shards(), second.shards()), (16, 0));
    assert_eq!(second.calls_at(&scene.clock, 599).await, (0, 0));
    assert_eq!(second.calls_at(&scene.clock, 600).await, (16, 1), "it looks for free shards every half second");
    assert_eq!(first.calls_at(&scene.clock, 1_000).await, (16, 1));
    assert_eq!(first.shards(), 8, "the half that is too many is given back at once");
    assert_eq!(first.calls_at(&scene.clock, 1_499).await, (0, 0));
    // Eight shards are free now, and the first relay leaves them to the second.
    assert_eq!(first.calls_at(&scene.clock, 1_500).await, (0, 1));
    assert_eq!(second.calls_at(&scene.clock, 1_500).await, (16, 1));
    assert_eq!((first.shards(), second.shards()), (8, 8));
    assert_eq!(first.calls_at(&scene.clock, 1_999).await, (0, 0));
    assert_eq!(first.calls_at(&scene.clock, 2_000).await, (8, 1), "the leases are renewed after a third of them");
    assert_eq!(first.calls_at(&scene.clock, 2_500).await, (0, 1));
    assert_eq!(first.calls_at(&scene.clock, 3_000).await, (8, 1));
}

async fn short_leases() {
    let (scene, broker) = (Scene::new(900), Scripted::new(Audience::broker(), ALL));
    let (mut first, mut second) = (scene.process(&broker), scene.process(&broker));
    first.calls_at(&scene.clock, 0).await;
    second.calls_at(&scene.clock, 0).await;
    assert_eq!(second.calls_at(&scene.clock, 299).await, (0, 0));
    assert_eq!(second.calls_at(&scene.clock, 300).await, (16, 1));
}

async fn dead() {
    let (scene, broker) = (Scene::new(LEASE), Scripted::new(Audience::broker(), ALL));
    let (mut first, mut second) = (scene.process(&broker), scene.process(&broker));
    first.calls_at(&scene.clock, 0).await;
    second.calls_at(&scene.clock, 100).await;
    first.calls_at(&scene.clock, 1_000).await;
    second.calls_at(&scene.clock, 1_050).await;
    assert_eq!((first.shards(), second.shards()), (8, 8));
    // The second relay takes no further step.
    for (at, leased) in [(1_500, 0), (2_000, 8), (2_500, 0), (3_000, 16)] {
        assert_eq!(first.calls_at(&scene.clock, at).await, (leased, 1), "at {at} ms");
    }
    assert_eq!(first.shards(), 8, "the leases of the dead relay last longer");
    first.calls_at(&scene.clock, 4_000).await;
    assert_eq!(first.shards(), 8);
    first.calls_at(&scene.clock, 4_500).await;
    assert_eq!(first.shards(), 16);
    let notes = async || scene.memory.notes("relay/").await.expect("the memory answers").len();
    for at in [5_000, 6_000, 7_000, 8_000, 9_000, 10_000] {
        first.calls_at(&scene.clock, at).await;
        assert_eq!(notes().await, 2, "at {at} ms");
    }
    first.calls_at(&scene.clock, 10_500).await;
    assert_eq!(notes().await, 1, "a note that has not changed for three leases is removed");
}

async fn alive() {
    let (scene, broker) = (Scene::new(LEASE), Scripted::new(Audience::broker(), ALL));
    let (mut first, mut second) = (scene.process(&broker), scene.process(&broker));
    for at in (0..=20_000).step_by(500) {
        first.calls_at(&scene.clock, at).await;
        second.calls_at(&scene.clock, at).await;
        if at >= 1_500 {
            assert_eq!((first.shards(), second.shards()), (8, 8), "at {at} ms");
        }
    }
    let written = first.storage.notes_written.load(SeqCst);
    assert_eq!(written, 21, "a relay changes its note three times in a lease");
}

async fn frozen() {
    let (scene, broker) = (Scene::new(LEASE), Scripted::new(Audience::broker(), ALL));
    let (mut first, mut second) = (scene.process(&broker), scene.process(&broker));
    for at in [0, 500, 1_000, 1_500] {
        first.calls_at(&scene.clock, at).await;
        second.calls_at(&scene.clock, at).await;
    }
    for at in (2_000..=15_000).step_by(500) {
        first.calls_at(&scene.clock, at).await;
    }
    assert_eq!(first.shards(), 16);
    for at in (15_500..=18_000).step_by(500) {
        second.calls_at(&scene.clock, at).await;
        first.calls_at(&scene.clock, at).await;
    }
    assert_eq!((first.shards(), second.shards()), (8, 8));
    assert_eq!(scene.memory.notes("relay/").await.expect("the memory answers").len(), 2);
}

async fn stopped() {
    let (scene, broker) = (Scene::new(LEASE), Scripted::new(Audience::broker(), ALL));
    let (mut first, mut second) = (scene.process(&broker), scene.process(&broker));
    first.calls_at(&scene.clock, 0).await;
    first.relay.release().await;
    assert!(scene.memory.notes("relay/").await.expect("the memory answers").is_empty());
    second.calls_at(&scene.clock, 1).await;
    assert_eq!((first.shards(), second.shards()), (0, 16));
    // A relay that goes on after a release begins anew.
    assert_eq!(first.calls_at(&scene.clock, 2).await, (16, 1));
    assert_eq!(scene.memory.notes("relay/").await.expect("the memory answers").len(), 2);
}

async fn leaving() {
    let (scene, broker) = (Scene::new(LEASE), Scripted::new(Audience::broker(), 0));
    let (mut first, mut second) = (scene.process(&broker), scene.process(&broker));
    for id in one_of_each_shard().values() {
        pay(&first.app, id).await;
    }
    first.calls_at(&scene.clock, 0).await;
    assert_eq!(broker.published().len(), 16, "each shard has a publish in progress");
    second.calls_at(&scene.clock, 100).await;
    first.calls_at(&scene.clock, 1_000).await;
    assert_eq!(first.shards(), 16, "no publish has ended");
    // Half of the shards leave. The one whose publish ends goes at once.
    broker.end(1);
    first.calls_at(&scene.clock, 1_100).await;
    let ended = first.shards();
    first.calls_at(&scene.clock, 1_200).await;
    let left = first.shards();
    assert!(ended >= 15 && left >= 15, "{ended} and {left}: the others are still in progress");
    // The records of a publish that is only slow arrive: whoever sends them again doubles them.
    for at in (2_000..31_000).step_by(500) {
        first.calls_at(&scene.clock, at).await;
        second.calls_at(&scene.clock, at).await;
    }
    assert!(first.shards() >= 15);
    first.calls_at(&scene.clock, 31_000).await;
    assert_eq!(first.shards(), 8, "the publishes hang");
    assert_eq!(broker.published().len(), 16, "a shard that leaves gets no new publish");
}

async fn leaving_stored() {
    let (scene, broker) = (Scene::new(LEASE), Scripted::new(Audience::broker(), ALL));
    let (mut first, mut second) = (scene.process(&broker), scene.process(&broker));
    first.calls_at(&scene.clock, 0).await;
    second.calls_at(&scene.clock, 960).await;
    scene.clock.set(990);
    let accounts = one_of_each_shard();
    for id in accounts.values() {
        pay(&first.app, id).await;
    }
    while broker.published().len() < 16 || !format!("{:?}", first.relay).ends_with(" 0 publishes)") {
        first.step().await;
    }
    assert_eq!(first.moved().len(), 0, "the checkpoints are not due yet");
    first.calls_at(&scene.clock, 1_000).await;
    assert_eq!(first.shards(), 8);
    let mut last = 0;
    for id in accounts.values() {
        let checkpoint = first.checkpoint(id).await;
        assert!(checkpoint > 0, "the checkpoint of {id} is stored before the shard is given back");
        last = checkpoint.max(last);
    }
    assert_eq!(last, 32);
    scene.clock.set(1_600);
    second.until_idle().await;
    assert_eq!((second.shards(), broker.published().len()), (8, 16), "nothing is sent again");
}

async fn renewed_in_flight() {
    let (scene, broker) = (Scene::new(LEASE), Scripted::new(Audience::broker(), 0));
    let mut relay = scene.process(&broker);
    pay(&relay.app, "kim").await;
    relay.calls_at(&scene.clock, 0).await;
    for at in [1_000, 2_000, 3_000] {
        assert_eq!(relay.calls_at(&scene.clock, at).await.0, 16);
    }
    broker.end(ALL);
    scene.clock.set(3_100);
    relay.until_idle().await;
    assert_eq!(broker.published(), [vec![2]], "one publish");
}

async fn new_epoch() {
    let (scene, broker) = (Scene::new(LEASE), Scripted::new(Audience::broker(), ALL));
    let mut relay = scene.process(&broker);
    relay.calls_at(&scene.clock, 0).await;
    // The relay is frozen past its leases, and another one holds each for a while.
    scene.clock.set(4_000);
    for shard in 0..RELAY_SHARDS {
        let reader = format!("relay/{shard}");
        let lease = scene.memory.lease(&reader, "another", Duration::from_millis(1)).await;
        assert_eq!(lease.expect("the memory answers").map(|lease| lease.epoch), Some(2));
    }
    pay(&relay.app, "kim").await;
    scene.clock.set(4_100);
    relay.until_idle().await;
    scene.clock.set(4_200);
    relay.until_idle().await;
    assert_eq!(relay.checkpoint("kim").await, 2, "the new epoch is used for the checkpoint");
    assert_eq!(broker.published(), [vec![2]], "and nothing is sent again");
}

async fn one_at_a_time() {
    let (scene, broker) = (Scene::new(LEASE), Scripted::new(Audience::broker(), 0));
    let mut relay = scene.process(&broker);
    pay(&relay.app, "kim").await;
    relay.step().await;
    paid_in(&relay.app, "kim", 2).await;
    for _ in 0..3 {
        relay.step().await;
    }
    assert_eq!(broker.published(), [vec![2]]);
    broker.end(ALL);
    for _ in 0..3 {
        relay.step().await;
    }
    assert_eq!(broker.published(), [vec![2], vec![3]]);
}

async fn replaced() {
    let (scene, groups) = (Scene::new(LEASE), Scripted::new(group(), 0));
    let mut relay = scene.process(&groups);
    pay(&relay.app, "kim").await;
    relay.step().await;
    paid_in(&relay.app, "kim", 2).await;
    for _ in 0..3 {
        relay.step().await;
    }
    assert_eq!(groups.published(), [vec![2], vec![2, 3]]);
    groups.end(ALL);
    relay.step().await;
    scene.clock.set(100);
    relay.until_idle().await;
    assert_eq!(groups.published().len(), 2);
    assert_eq!(relay.checkpoint("kim").await, 3);
}

async fn not_replaced() {
    let (scene, groups) = (Scene::new(LEASE), Scripted::new(group(), 0));
    let mut relay = scene.process(&groups);
    // So many entries are read from the database, and not from those that the process keeps.
    for number in 0..600 {
        opened(&relay.app, &format!("account {number}")).await;
    }
    pay(&relay.app, "kim").await;
    relay.step().await;
    let reads = relay.storage.reads.load(SeqCst);
    for _ in 0..3 {
        relay.step().await;
    }
    assert_eq!(relay.storage.reads.load(SeqCst), reads, "a publish that has all entries is not looked at again");
    opened(&relay.app, "lee").await;
    for _ in 0..3 {
        relay.step().await;
    }
    assert_eq!(groups.published(), [vec![602]]);
}

async fn outdated_result() {
    let (scene, groups) = (Scene::new(LEASE), Scripted::new(group(), 0));
    let mut relay = scene.process(&groups);
    pay(&relay.app, "kim").await;
    relay.step().await;
    // The first publish ends, and before the relay takes in its result, a second one replaces it.
    paid_in(&relay.app, "kim", 2).await;
    groups.end(1);
    relay.step().await;
    assert_eq!(groups.published(), [vec![2], vec![2, 3]]);
    groups.end(ALL);
    relay.step().await;
    scene.clock.set(100);
    relay.until_idle().await;
    assert_eq!(groups.published(), [vec![2], vec![2, 3]], "the second publish goes on");
    assert_eq!(relay.checkpoint("kim").await, 3);
}

async fn reported() {
    let (scene, broker) = (Scene::new(LEASE), Scripted::new(Audience::broker(), 0));
    let mut relay = scene.process(&broker);
    pay(&relay.app, "kim").await;
    paid_in(&relay.app, "kim", 2).await;
    assert_eq!(relay.step().await, Step::Did(2), "two messages are on their way");
    assert_eq!(relay.step().await, Step::Did(0));
    broker.end(1);
    assert_eq!(relay.step().await, Step::Did(2), "two messages are acknowledged");
    scene.clock.set(50);
    assert_eq!(relay.step().await, Step::Did(0), "the checkpoint is stored");
    assert_eq!(
        relay.step().await,
        Step::IdleFor(Position(3), Duration::from_millis(950)),
        "until the leases are renewed"
    );
}

async fn step_ends() {
    let (scene, broker) = (Scene::new(LEASE), Scripted::new(Audience::broker(), 0));
    let mut relay = scene.process(&broker);
    let [kim, lee] = ["kim", "lee"];
    assert_ne!(shard_of(kim), shard_of(lee));
    pay(&relay.app, kim).await;
    relay.step().await;
    assert_eq!(lock(&scene.clock.slept).last(), Some(&Duration::from_millis(750)));
    // Another shard is acknowledged, so its checkpoint is due within 50 ms.
    broker.end(1);
    relay.step().await;
    pay(&relay.app, lee).await;
    scene.clock.set(20);
    relay.step().await;
    assert_eq!(lock(&scene.clock.slept).last(), Some(&Duration::from_millis(30)));

    // The checkpoints are never put off beyond a quarter of a short lease.
    let (scene, broker) = (Scene::new(120), Scripted::new(Audience::broker(), 0));
    let mut relay = scene.process(&broker);
    pay(&relay.app, kim).await;
    relay.step().await;
    broker.end(1);
    relay.step().await;
    pay(&relay.app, lee).await;
    relay.step().await;
    assert_eq!(lock(&scene.clock.slept).last(), Some(&Duration::from_millis(30)));
}

async fn stored_together() {
    let (scene, broker) = (Scene::new(LEASE), Scripted::new(Audience::broker(), ALL));
    let mut relay = scene.process(&broker);
    for (at, amount) in [(0, 1), (20, 2), (40, 3)] {
        scene.clock.set(at);
        if amount == 1 {
            opened(&relay.app, "kim").await;
        }
        paid_in(&relay.app, "kim", amount).await;
        while broker.published().len() < amount as usize || !format!("{:?}", relay.relay).ends_with(" 0 publishes)") {
            relay.step().await;
        }
    }
    assert_eq!(relay.step().await, Step::IdleFor(Position(4), Duration::from_millis(10)));
    scene.clock.set(49);
    assert_eq!(relay.step().await, Step::IdleFor(Position(4), Duration::from_millis(1)));
    assert!(relay.moved().is_empty());
    scene.clock.set(50);
    assert_eq!(relay.step().await, Step::Did(0));
    let moved = vec![(format!("relay/{}", shard_of("kim")), 0, 4)];
    assert_eq!(relay.moved(), std::slice::from_ref(&moved), "one move of one shard");
    scene.clock.set(200);
    assert_eq!(relay.step().await, Step::IdleFor(Position(4), Duration::from_millis(800)));
    // The next acknowledgement counts from its own time.
    paid_in(&relay.app, "kim", 4).await;
    while !matches!(relay.step().await, Step::IdleFor(..)) {}
    assert_eq!(relay.moved().len(), 1);
    scene.clock.set(250);
    relay.until_idle().await;
    assert_eq!(relay.moved(), [moved, vec![(format!("relay/{}", shard_of("kim")), 4, 5)]]);
}

async fn refused() {
    let (scene, broker) = (Scene::new(LEASE), Scripted::new(Audience::broker(), 0));
    let mut relay = scene.process(&broker);
    let [kim, park] = two_of_one_shard();
    let lee = (0..).map(|number: u32| format!("lee {number}")).find(|id| shard_of(id) != shard_of(&kim));
    let lee = lee.expect("there is another shard");
    lock(&broker.0.refused).insert(kim.clone());
    lock(&broker.0.down).insert(lee.clone());
    for id in [&kim, &park, &lee] {
        opened(&relay.app, id).await;
    }
    for id in [&park, &kim, &lee] {
        paid_in(&relay.app, id, 1).await;
    }
    relay.step().await;
    assert_eq!(broker.published().len(), 2);
    broker.end(2);
    let error = relay.relay.step().await.expect_err("a topic is down");
    assert_eq!(error.to_string(), "the broker did not accept a record");
    let reader = format!("relay/{}", shard_of(&kim));
    let parked = scene.memory.parked(&reader, &kim, 0, 9).await.expect("the memory answers");
    assert_eq!(parked.len(), 1, "the record is parked although another shard has failed");
    assert_eq!(relay.checkpoint(&kim).await, 5, "the checkpoint moves over it in the same batch");
    assert_eq!(relay.checkpoint(&lee).await, 0);
    // A later record of the key is parked behind it, without a publish; it counts as done.
    paid_in(&relay.app, &kim, 2).await;
    broker.end(ALL);
    lock(&broker.0.down).clear();
    let before = broker.published().len();
    relay.until_idle().await;
    let parked = scene.memory.parked(&reader, &kim, 0, 9).await.expect("the memory answers");
    assert_eq!(parked.len(), 2);
    let later = broker.published().split_off(before);
    assert_eq!(later, [vec![6]], "only the record of the topic that was down");
}

async fn parked_read_once() {
    let (scene, broker) = (Scene::new(LEASE), Scripted::new(Audience::broker(), ALL));
    let mut relay = scene.process(&broker);
    for _ in 0..5 {
        pay_again(&mut relay).await;
    }
    assert_eq!(relay.storage.parked_reads.load(SeqCst), 1);
    let groups = Scripted::new(group(), ALL);
    let mut relay = Scene::new(LEASE).process(&groups);
    for _ in 0..5 {
        pay_again(&mut relay).await;
    }
    assert_eq!(relay.storage.parked_reads.load(SeqCst), 0, "a group in this process parks its own messages");
}
async fn pay_again(process: &mut Process) {
    let number = process.moved().len();
    if process.app.storage().row("account", "kim", None).await.expect("the memory answers").found.version == 0 {
        opened(&process.app, "kim").await;
    }
    paid_in(&process.app, "kim", number as i64).await;
    for _ in 0..4 {
        process.step().await;
    }
}

async fn parked_reported() {
    let (scene, broker) = (Scene::new(LEASE), Scripted::new(Audience::broker(), 0));
    let mut relay = scene.process(&broker);
    lock(&broker.0.refused).insert("kim".to_owned());
    pay(&relay.app, "kim").await;
    assert_eq!(relay.step().await, Step::Did(1), "it is on its way");
    broker.end(1);
    assert_eq!(relay.step().await, Step::Did(1), "it is parked");
}

async fn many_parked() {
    let (scene, broker) = (Scene::new(LEASE), Scripted::new(Audience::broker(), ALL));
    let mut first = scene.process(&broker);
    let of_one_shard = (0..).map(|number: u32| format!("{number:05}")).filter(|id| shard_of(id) == 0);
    let keys: Vec<String> = of_one_shard.take(258).collect();
    lock(&broker.0.refused).extend(keys.iter().cloned());
    for id in &keys {
        pay(&first.app, id).await;
    }
    first.until_idle().await;
    first.relay.release().await;
    lock(&broker.0.refused).clear();
    // The next relay reads the first 256 keys at once.
    let (mut second, last) = (scene.process(&broker), &keys[257]);
    paid_in(&second.app, last, 2).await;
    let before = broker.published().len();
    second.until_idle().await;
    assert_eq!(broker.published().len(), before, "the message waits behind the parked one of its key");
    let parked = scene.memory.parked("relay/0", last, 0, 9).await.expect("the memory answers");
    assert_eq!(parked.len(), 2);
}

async fn progress_read() {
    for (audience, reads) in [(Audience::broker(), 1), (group(), 0)] {
        let (scene, transport) = (Scene::new(LEASE), Scripted::new(audience, ALL));
        let mut relay = scene.process(&transport);
        for at in [0, 1_000, 2_000] {
            assert_eq!(relay.calls_at(&scene.clock, at).await.0, 16, "the leases are taken and renewed");
        }
        assert_eq!(relay.storage.checkpoint_reads.load(SeqCst), reads);
    }
}

async fn broker_health() {
    assert_ne!(shard_of("kim"), shard_of("lee"));
    let broker = Scripted::new(Audience::broker(), 0);
    lock(&broker.0.down).insert("lee".to_owned());
    lock(&broker.0.refused).insert("kim".to_owned());
    let app = bank(Memory::new()).transport(broker.clone()).build().expect("the app builds");
    let running = app.start().await.expect("the app starts");
    let error = async || {
        let components = app.health().await.components;
        components.into_iter().find(|component| component.name == "broker").and_then(|component| component.error)
    };
    for (id, publishes) in [("lee", 1), ("kim", 2)] {
        pay(&app, id).await;
        until("the publish has begun", async || broker.published().len() == publishes).await;
    }
    until("the broker is connected", async || error().await.is_none()).await;
    broker.end(1);
    until("the second attempt has begun", async || broker.published().len() == 3).await;
    let failed = "the last publish failed; outgoing events stay in the outbox";
    assert_eq!(error().await.as_deref(), Some(failed));
    broker.end(1);
    let parked = async || app.parked().list(&Default::default()).await.expect("the parked keys can be listed");
    until("the refused record is parked", async || parked().await.len() == 1).await;
    assert_eq!(error().await.as_deref(), Some(failed));
    broker.end(ALL);
    assert!(running.stop(DRAIN).await);
}

async fn ticks() {
    let (scene, broker) = (Scene::new(LEASE), Scripted::new(Audience::broker(), ALL));
    let environment: Arc<dyn Environment> = Arc::new(scene.clock.clone());
    // This process has no projections and subscribers, so no other job waits for a tick.
    let app = App::builder("bank").discover_part("it::refused_topic::names").aggregate(StateStored::<Account>::new());
    let app = app.storage(scene.memory.clone()).transport(broker.clone()).environment(environment);
    let running = app.build().expect("the app builds").start().await.expect("the app starts");
    pay(&scene.process(&broker).app, "kim").await;
    until("the record is sent", async || broker.published() == [[2]]).await;
    let tick = Duration::from_millis(10);
    until("the relay waits for the tick", async || lock(&scene.clock.slept).contains(&tick)).await;
    assert!(running.stop(DRAIN).await);
}

async fn idle() {
    let (scene, broker) = (Scene::new(LEASE), Scripted::new(Audience::broker(), ALL));
    let mut relay = scene.process(&broker);
    for number in 0..600 {
        opened(&relay.app, &format!("account {number}")).await;
    }
    relay.until_idle().await;
    relay.storage.reads.store(0, SeqCst);
    for _ in 0..10 {
        assert_eq!(relay.step().await, Step::IdleFor(Position(600), Duration::from_secs(1)));
    }
    assert_eq!(relay.storage.reads.load(SeqCst), 0);
    assert!(relay.moved().is_empty(), "entries without messages cost no commit");
}

async fn budget() {
    let limit_of = async |relays: usize| {
        let mut process = Scene::new(LEASE).process(&Scripted::new(group(), ALL));
        for number in 0..600 {
            opened(&process.app, &format!("account {number}")).await;
        }
        // Each is a relay of its own for the same process, as it has one for each group.
        let mut others: Vec<Relay> = (1..relays).flat_map(|_| process.app.relays()).collect();
        for other in &mut others {
            other.step().await.expect("the step succeeds");
            other.release().await;
        }
        lock(&process.storage.limits).clear();
        process.step().await;
        let limits = lock(&process.storage.limits).clone();
        limits[0]
    };
    let whole = cqrs_core::ByteBudget::default().relay;
    assert_eq!(limit_of(1).await, whole / 16);
    assert_eq!(limit_of(3).await, whole / 3 / 16);
}
