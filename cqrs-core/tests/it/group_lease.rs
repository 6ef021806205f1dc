//! The lease of a group of subscribers to the own log, step by step on a clock of the test.
use crate::{
    bank::{AccountEvent, bank, opened},
    clock::Clock,
    listener::lock,
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, BoxError, Dep, Fault, Position, Recorded,
    consumer::LogFollower,
    environment::Environment,
    job::Step,
    storage::{Batch, CommitError, Lease, Memory, Storage},
    subscriber,
    testing::StorageLayer,
};
use libtest_mimic::Trial;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("group lease: the holder renews it after a third, and others try to take it every half second", held),
        trial("group lease: with short leases others try three times in a lease", short),
        trial(
            "group lease: a holder that stops taking steps is followed by another, which goes on after its events",
            taken,
        ),
        trial("group lease: a holder that comes back late handles nothing, and follows the other", late),
        trial("group lease: it is renewed after each third of it while a batch is committed", working),
        trial("group lease: a holder that stops releases it", released),
        trial("group lease: a refused commit makes its process look at the lease at once", refused),
    ]
}

/// The lease of most tests: a third of it is a second.
const LEASE: u64 = 3_000;

/// The storage of one process: memory that other processes use as well.
#[derive(Clone)]
struct Shared {
    memory: Memory,
    /// The number of calls of this process that take or renew a lease.
    leased: Arc<AtomicUsize>,
    /// The epochs with which this process has moved the checkpoint.
    epochs: Arc<Mutex<Vec<Option<u64>>>>,
    /// A commit is not ready at once.
    is_slow: Arc<AtomicBool>,
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
        self.leased.fetch_add(1, SeqCst);
        self.memory.lease(reader, owner, ttl).await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        if self.is_slow.load(SeqCst) {
            tokio::task::yield_now().await;
        }
        lock(&self.epochs).extend(batch.checkpoint_moves.iter().map(|moved| moved.epoch));
        self.memory.commit(batch).await
    }
}

/// The accounts whose events the subscriber has handled, in order.
#[derive(Default)]
struct Seen(Mutex<Vec<String>>);
#[subscriber(group = "bank.held", from = "beginning")]
async fn held_by_one(event: Recorded<AccountEvent>, seen: Dep<Seen>) -> Result<(), BoxError> {
    lock(&seen.0).push(event.aggregate_id.clone());
    Ok(())
}

struct Scene {
    clock: Clock,
    memory: Memory,
    lease: u64,
    seen: Arc<Seen>,
}
struct Process {
    app: App,
    group: LogFollower,
    storage: Shared,
}
impl Scene {
    fn new(lease: u64) -> Self {
        let clock = Clock::default();
        let environment: Arc<dyn Environment> = Arc::new(clock.clone());
        Scene { clock, memory: Memory::with(environment), lease, seen: Arc::default() }
    }
    fn process(&self) -> Process {
        let storage = Shared {
            memory: self.memory.clone(),
            leased: Arc::default(),
            epochs: Arc::default(),
            is_slow: Arc::default(),
        };
        let environment: Arc<dyn Environment> = Arc::new(self.clock.clone());
        let app = bank(storage.clone()).discover_part(module_path!()).provide(self.seen.clone());
        let app = app.environment(environment).lease(Duration::from_millis(self.lease)).build();
        let app = app.expect("the app builds");
        let mut followers = app.log_followers();
        followers.retain(|follower| follower.name().contains("bank.held"));
        let group = followers.pop().expect("the group follows the log");
        Process { app, group, storage }
    }
    fn seen(&self) -> Vec<String> {
        lock(&self.seen.0).clone()
    }
}
impl Process {
    /// Takes a step, and returns it with the number of calls that take or renew the lease.
    async fn step_at(&mut self, scene: &Scene, at: i64) -> (Step, usize) {
        scene.clock.set(at);
        let step = self.group.step().await.expect("the step succeeds");
        (step, self.storage.leased.swap(0, SeqCst))
    }
    fn epochs(&self) -> Vec<Option<u64>> {
        lock(&self.storage.epochs).clone()
    }
}
/// The result of a step without the lease, which no commit ends.
fn without(left: u64) -> Step {
    Step::Paused(Duration::from_millis(left))
}
/// The result of a step that finds no event: the lease is to be renewed after `left` milliseconds.
fn idle(upto: u64, left: u64) -> Step {
    Step::IdleFor(Position(upto), Duration::from_millis(left))
}

async fn held() {
    let scene = Scene::new(LEASE);
    let (mut first, mut second) = (scene.process(), scene.process());
    assert_eq!(first.step_at(&scene, 0).await, (idle(0, 1_000), 1));
    assert_eq!(second.step_at(&scene, 100).await, (without(500), 1));
    assert_eq!(second.step_at(&scene, 250).await, (without(350), 0));
    assert_eq!(second.step_at(&scene, 599).await, (without(1), 0));
    assert_eq!(second.step_at(&scene, 600).await, (without(500), 1));
    for (at, left, calls) in [(999, 1, 0), (1_000, 1_000, 1), (1_999, 1, 0), (2_000, 1_000, 1)] {
        assert_eq!(first.step_at(&scene, at).await, (idle(0, left), calls), "at {at} ms");
    }
    opened(&first.app, "kim").await;
    assert_eq!(second.step_at(&scene, 2_001).await, (without(500), 1));
    assert_eq!(first.step_at(&scene, 2_002).await, (Step::Did(1), 0));
    // A renewal is no change of the holder: nothing is read again, and the next event is handled once.
    assert_eq!(first.step_at(&scene, 3_000).await, (idle(1, 1_000), 1));
    opened(&first.app, "lee").await;
    assert_eq!(first.step_at(&scene, 3_001).await, (Step::Did(1), 0));
    assert_eq!(scene.seen(), ["kim", "lee"]);
    assert_eq!((first.epochs(), second.epochs()), (vec![Some(1), Some(1)], vec![]));
}

async fn short() {
    let scene = Scene::new(900);
    let (mut first, mut second) = (scene.process(), scene.process());
    first.step_at(&scene, 0).await;
    assert_eq!(second.step_at(&scene, 0).await, (without(300), 1));
    assert_eq!(second.step_at(&scene, 299).await, (without(1), 0));
    assert_eq!(second.step_at(&scene, 300).await, (without(300), 1));
}

async fn taken() {
    let scene = Scene::new(LEASE);
    let (mut first, mut second) = (scene.process(), scene.process());
    first.step_at(&scene, 0).await;
    opened(&first.app, "kim").await;
    assert_eq!(first.step_at(&scene, 10).await.0, Step::Did(1));
    opened(&first.app, "lee").await;
    assert_eq!(second.step_at(&scene, 2_999).await, (without(500), 1));
    assert_eq!(second.step_at(&scene, 3_499).await, (Step::Did(1), 1));
    assert_eq!(scene.seen(), ["kim", "lee"], "each event is handled once");
    assert_eq!((first.epochs(), second.epochs()), (vec![Some(1)], vec![Some(2)]));
}

async fn late() {
    let scene = Scene::new(LEASE);
    let (mut first, mut second) = (scene.process(), scene.process());
    first.step_at(&scene, 0).await;
    second.step_at(&scene, 3_500).await;
    opened(&first.app, "kim").await;
    assert_eq!(first.step_at(&scene, 3_600).await, (without(500), 1), "it learns first that it has lost the lease");
    assert!(scene.seen().is_empty());
    assert_eq!(second.step_at(&scene, 3_700).await.0, Step::Did(1));
    opened(&first.app, "lee").await;
    assert_eq!(first.step_at(&scene, 7_000).await, (Step::Did(1), 1), "the other one has stopped");
    assert_eq!(scene.seen(), ["kim", "lee"]);
    assert_eq!((first.epochs(), second.epochs()), (vec![Some(3)], vec![Some(2)]));
}

async fn working() {
    let scene = Scene::new(LEASE);
    let mut first = scene.process();
    first.step_at(&scene, 0).await;
    opened(&first.app, "kim").await;
    first.storage.is_slow.store(true, SeqCst);
    assert_eq!(first.step_at(&scene, 10).await.0, Step::Did(1));
    // The other sleep is the time limit of the subscriber.
    let slept = lock(&scene.clock.slept).clone();
    assert!(slept.contains(&Duration::from_secs(1)), "{slept:?}");
}

async fn released() {
    let scene = Scene::new(LEASE);
    let (mut first, mut second) = (scene.process(), scene.process());
    first.step_at(&scene, 0).await;
    second.step_at(&scene, 0).await;
    opened(&first.app, "kim").await;
    first.group.release().await;
    assert_eq!(second.step_at(&scene, 500).await, (Step::Did(1), 1), "nothing is waited for");
    // A process that goes on after a release begins anew, and a second release takes nothing from the holder.
    assert_eq!(first.step_at(&scene, 501).await, (without(500), 1));
    first.group.release().await;
    opened(&first.app, "lee").await;
    assert_eq!(second.step_at(&scene, 502).await, (Step::Did(1), 0));
    assert_eq!(scene.seen(), ["kim", "lee"]);
}

async fn refused() {
    let scene = Scene::new(LEASE);
    let mut first = scene.process();
    first.step_at(&scene, 0).await;
    // Another process has had the lease in between, and has released it: the epoch of this process is outdated.
    let reader = first.group.name().to_owned();
    scene.clock.set(3_001);
    let lease = scene.memory.lease(&reader, "another", Duration::from_secs(3)).await;
    assert_eq!(lease.expect("the memory answers").map(|lease| lease.epoch), Some(2));
    scene.memory.release(&reader, "another").await.expect("the memory answers");
    opened(&first.app, "kim").await;
    assert_eq!(first.step_at(&scene, 900).await, (Step::Did(0), 0), "the commit is refused");
    assert_eq!(first.step_at(&scene, 901).await, (Step::Did(1), 1));
    assert_eq!(first.epochs(), [Some(1), Some(3)]);
}
