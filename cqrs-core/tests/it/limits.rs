//! Limits: attempts at the same time and their pace, over all replicas of a service. Time is virtual.
use crate::{
    bank::{bank, opened, paid_in},
    listener::lock,
    trials::{trial, trial_on_one_thread},
};
use async_trait::async_trait;
use cqrs_core::{
    App, AppBuilder, Error, ErrorKind, Fault, Limit, Metadata, Timestamp,
    environment::Environment,
    storage::{Lease, Memory, Storage},
    testing::{StorageLayer, TestApp, VirtualTime},
};
use futures_util::future::join_all;
use libtest_mimic::Trial;
use models::{Ask, AskInPace, Model};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial_on_one_thread("limits: two replicas together do not exceed the concurrency of a resource", concurrent),
        trial_on_one_thread("limits: seeded: a lease with two owners exceeds the concurrency", seeded_lease),
        trial_on_one_thread("limits: a permit of a process that is gone is free after its lease", expired),
        trial_on_one_thread("limits: an attempt that cannot renew its permit is given up before it expires", unrenewed),
        trial_on_one_thread("limits: an attempt that outlasts the lease keeps its permit", renewed),
        trial_on_one_thread("limits: a caller waits for a permit until its deadline", deadline),
        trial_on_one_thread("limits: starts keep their pace, over two replicas and a restart", paced),
        trial_on_one_thread("limits: seeded: a pace that another replica overwrites is exceeded", seeded_pace),
        trial("limits: the messages of a limited group are handled one at a time, and all of them", group),
        trial("limits: a shutdown does not wait for a permit", shutdown),
        trial("limits: a limit that is not declared, or in two ways, is found when the app is built", built),
    ]
}

/// A third party that counts its callers.
mod models {
    use crate::listener::lock;
    use cqrs_core::{
        Command, Dep, Fault, HandlerResult, Infallible, Timestamp, environment::Environment, handler,
        testing::VirtualTime,
    };
    use serde::{Deserialize, Serialize};
    use std::{sync::Mutex, time::Duration};

    pub(super) const MODULE: &str = module_path!();

    /// The calls of the model.
    #[derive(Debug, Default)]
    pub(super) struct Model {
        pub(super) running: Mutex<u32>,
        pub(super) most: Mutex<u32>,
        pub(super) ended: Mutex<u32>,
        pub(super) starts: Mutex<Vec<Timestamp>>,
    }
    /// A call that runs, counted until it ends or is dropped.
    struct Running<'a>(&'a Model);
    impl<'a> Running<'a> {
        fn begin(model: &'a Model, now: Timestamp) -> Self {
            let mut running = lock(&model.running);
            *running += 1;
            let mut most = lock(&model.most);
            *most = most.max(*running);
            lock(&model.starts).push(now);
            Running(model)
        }
    }
    impl Drop for Running<'_> {
        fn drop(&mut self) {
            *lock(&self.0.running) -= 1;
        }
    }
    async fn call(model: &Model, time: &VirtualTime, takes: Duration) -> Result<(), Fault> {
        let running = Running::begin(model, time.now());
        time.sleep(takes).await;
        drop(running);
        *lock(&model.ended) += 1;
        Ok(())
    }

    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(super) struct Ask {
        pub(super) milliseconds: u64,
    }
    #[handler(limit = "llm", 3)]
    async fn ask(command: Ask, model: Dep<Model>, time: Dep<VirtualTime>) -> HandlerResult<(), Infallible> {
        Ok(call(&model, &time, Duration::from_millis(command.milliseconds)).await?)
    }
    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(super) struct AskInPace;
    #[handler(limit = "paced")]
    async fn ask_in_pace(_: AskInPace, model: Dep<Model>, time: Dep<VirtualTime>) -> HandlerResult<(), Infallible> {
        Ok(call(&model, &time, Duration::ZERO).await?)
    }
}

/// Functions whose limits do not fit together. No app runs them.
mod unfit {
    use cqrs_core::{HandlerResult, Infallible, Query, handler};

    pub(super) const MODULE: &str = module_path!();

    macro_rules! query {
        ($query:ident, $function:ident, $($limit:tt)*) => {
            #[derive(Clone, Query)]
            pub(super) struct $query;
            #[handler($($limit)*)]
            async fn $function(_: $query) -> HandlerResult<(), Infallible> {
                Ok(())
            }
        };
    }
    query!(AskOne, ask_one, limit = "shared", 1);
    query!(AskTwo, ask_two, limit = "shared", 2);
    query!(AskUndeclared, ask_undeclared, limit = "undeclared");
}

/// A group that handles payments and is slow.
mod slow {
    use super::Model;
    use crate::{bank::PaymentMade, listener::lock};
    use cqrs_core::{BoxError, Dep, Recorded, subscriber};
    use std::time::Duration;

    pub(super) const MODULE: &str = module_path!();

    #[subscriber(group = "limits.slow")]
    async fn slow(_: Recorded<PaymentMade>, model: Dep<Model>) -> Result<(), BoxError> {
        {
            let mut running = lock(&model.running);
            *running += 1;
            let mut most = lock(&model.most);
            *most = most.max(*running);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        *lock(&model.running) -= 1;
        *lock(&model.ended) += 1;
        Ok(())
    }
}

/// The database of several replicas, with the bug of a test.
#[derive(Clone)]
struct Shared {
    memory: Memory,
    /// A lease is given to each process that asks.
    gives_twice: bool,
    /// A note is replaced whatever its value is.
    overwrites: bool,
    /// The database does not respond.
    is_down: Arc<AtomicBool>,
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
        if self.is_down.load(Ordering::SeqCst) {
            return Err(Fault::unavailable("seeded: the database is down"));
        }
        let lease = self.memory.lease(reader, owner, ttl).await?;
        match self.gives_twice && reader.starts_with("limit/") {
            true => Ok(lease.or(Some(Lease { epoch: 1, position: cqrs_core::Position(0) }))),
            false => Ok(lease),
        }
    }
    async fn replace_note(&self, name: &str, expected: Option<&str>, value: Option<&str>) -> Result<bool, Fault> {
        if self.overwrites {
            let stored = self.memory.notes(name).await?.into_iter().next().map(|(_, value)| value);
            return self.memory.replace_note(name, stored.as_deref(), value).await;
        }
        self.memory.replace_note(name, expected, value).await
    }
}

const LEASE: Duration = Duration::from_secs(10);

struct Fixture {
    time: VirtualTime,
    shared: Shared,
    model: Arc<Model>,
}
impl Fixture {
    fn new() -> Self {
        let time = VirtualTime::new(Timestamp::UNIX_EPOCH);
        let memory = Memory::with(Arc::new(time.clone()));
        let shared = Shared { memory, gives_twice: false, overwrites: false, is_down: Arc::default() };
        Fixture { time, shared, model: Arc::default() }
    }
    fn builder(&self) -> AppBuilder {
        let app = App::builder("limited").discover_part(models::MODULE).storage(self.shared.clone()).lease(LEASE);
        let app = app.provide(self.model.clone()).provide(Arc::new(self.time.clone()));
        app.limit(Limit::new("paced").rate(20, Duration::from_secs(1))).environment(Arc::new(self.time.clone()))
    }
    /// Returns another replica.
    async fn replica(&self) -> App {
        let app = self.builder().build().expect("the app builds");
        app.migrate().await.expect("the app declares itself");
        app
    }
    /// Lets two replicas ask ten times each at once, and returns the largest number of calls at the same time.
    async fn most(&self) -> u32 {
        let (one, two) = (self.replica().await, self.replica().await);
        let asked = (0..10).flat_map(|_| [&one, &two]).map(|app| app.send(Ask { milliseconds: 50 }));
        for answer in join_all(asked).await {
            answer.expect("the model answers");
        }
        assert_eq!(*lock(&self.model.ended), 20);
        assert_eq!(*lock(&self.model.running), 0);
        *lock(&self.model.most)
    }
    /// Lets two replicas ask five times each at once, and then a third one. Returns the shortest time between two
    /// starts.
    async fn shortest_interval(&self) -> Duration {
        let (one, two) = (self.replica().await, self.replica().await);
        let asked = (0..5).flat_map(|_| [&one, &two]).map(|app| app.send(AskInPace));
        for answer in join_all(asked).await {
            answer.expect("the model answers");
        }
        drop((one, two));
        self.replica().await.send(AskInPace).await.expect("the model answers");
        let starts = lock(&self.model.starts).clone();
        assert_eq!(starts.len(), 11);
        let mut sorted = starts;
        sorted.sort();
        let between = sorted.windows(2).map(|pair| (pair[1] - pair[0]).to_std().expect("they are sorted"));
        between.min().expect("there are several")
    }
    /// Takes all permits of the model as another process does, which does not renew them.
    async fn taken_by_another_process(&self) {
        for slot in 0..3 {
            let longer = LEASE + Duration::from_secs(1);
            let lease = self.shared.memory.lease(&format!("limit/llm/{slot}"), "another", longer).await;
            assert!(lease.expect("the database responds").is_some(), "slot {slot} is taken");
        }
    }
}

async fn concurrent() {
    assert_eq!(Fixture::new().most().await, 3);
}
async fn seeded_lease() {
    let mut fixture = Fixture::new();
    fixture.shared.gives_twice = true;
    assert!(fixture.most().await > 3, "the seeded bug makes no difference");
}

async fn expired() {
    let fixture = Fixture::new();
    let app = fixture.replica().await;
    fixture.taken_by_another_process().await;
    // The caller gives up before the lease has expired, and a later one gets its permit.
    let refused = app.send(Ask { milliseconds: 1 }).await;
    assert!(refused.is_err_and(|error| error.kind() == ErrorKind::Unavailable));
    fixture.time.sleep(Duration::from_secs(1)).await;
    app.send(Ask { milliseconds: 1 }).await.expect("the permits have expired");
    assert_eq!(*lock(&fixture.model.most), 1);
}

async fn unrenewed() {
    let fixture = Fixture::new();
    let app = fixture.replica().await;
    let asking = app.send(Ask { milliseconds: 60_000 });
    let fails = async {
        fixture.time.sleep(Duration::from_secs(1)).await;
        fixture.shared.is_down.store(true, Ordering::SeqCst);
    };
    let (answer, ()) = tokio::join!(asking, fails);
    assert!(answer.is_err_and(|error| error.kind() == ErrorKind::Unavailable), "the attempt has gone on");
    assert!(fixture.time.uptime() < LEASE, "the attempt has outlasted its permit: {:?}", fixture.time.uptime());
    assert_eq!((*lock(&fixture.model.running), *lock(&fixture.model.ended)), (0, 0));
}

async fn renewed() {
    let fixture = Fixture::new();
    let app = fixture.replica().await;
    let asking = app.send(Ask { milliseconds: 60_000 });
    let look = async {
        fixture.time.sleep(LEASE * 3).await;
        let mut free = 0;
        for slot in 0..3 {
            let lease = fixture.shared.memory.lease(&format!("limit/llm/{slot}"), "another", LEASE).await;
            free += u32::from(lease.expect("the database responds").is_some());
        }
        assert_eq!(free, 2, "the permit of the attempt was not renewed");
    };
    let (answer, ()) = tokio::join!(asking, look);
    answer.expect("the model answers");
}

async fn deadline() {
    let fixture = Fixture::new();
    let app = fixture.replica().await;
    fixture.taken_by_another_process().await;
    let until = fixture.time.now() + Duration::from_secs(2);
    let refused = app.with(Metadata::default().deadline(until)).send(Ask { milliseconds: 1 }).await;
    let Err(Error::Fault(fault)) = refused else { panic!("the limit is exceeded: {refused:?}") };
    assert!(fault.to_string().contains("the limit llm is used up"), "{fault}");
    assert!(fixture.time.uptime() < Duration::from_secs(4), "{:?}", fixture.time.uptime());
    assert!(lock(&fixture.model.starts).is_empty());
}

async fn paced() {
    let shortest = Fixture::new().shortest_interval().await;
    assert!(shortest >= Duration::from_millis(50), "{shortest:?}");
}
async fn seeded_pace() {
    let mut fixture = Fixture::new();
    fixture.shared.overwrites = true;
    let shortest = fixture.shortest_interval().await;
    assert!(shortest < Duration::from_millis(50), "the seeded bug makes no difference: {shortest:?}");
}

fn slow_group(model: &Arc<Model>) -> AppBuilder {
    App::builder("limits").discover_part(slow::MODULE).provide(model.clone())
}
/// Handles payments of ten accounts, and returns the largest number of messages that were handled at the same time.
async fn most_of_group(limit: Option<Limit>) -> u32 {
    let model = Arc::<Model>::default();
    let listener = limit.into_iter().fold(slow_group(&model), AppBuilder::limit);
    let [bank, listener] = TestApp::start_all([bank(Memory::new()), listener]).await.expect("the apps start");
    for account in 0..10 {
        opened(&bank, &account.to_string()).await;
        paid_in(&bank, &account.to_string(), 1).await;
    }
    bank.settle().await;
    assert_eq!(*lock(&model.ended), 10);
    assert!(bank.stop().await && listener.stop().await);
    *lock(&model.most)
}
async fn group() {
    assert_eq!(most_of_group(Some(Limit::of_group("limits.slow").concurrency(1))).await, 1);
    assert!(most_of_group(None).await > 1, "without a limit the test shows nothing");
}

async fn shutdown() {
    let model = Arc::<Model>::default();
    let hourly = Limit::of_group("limits.slow").rate(1, Duration::from_secs(3_600));
    let apps = [bank(Memory::new()), slow_group(&model).limit(hourly)];
    let [bank, listener] = TestApp::start_all(apps).await.expect("the apps start");
    for account in ["kim", "lee"] {
        opened(&bank, account).await;
        paid_in(&bank, account, 1).await;
    }
    for _ in 0..500 {
        if *lock(&model.ended) == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(*lock(&model.ended), 1, "the first message has its permit, and the second one waits for an hour");
    assert!(listener.stop().await, "the shutdown waits for a permit");
    drop(bank);
}

async fn built() {
    let _ = (unfit::AskOne, unfit::AskTwo, unfit::AskUndeclared);
    let app = App::builder("unfit").discover_part(unfit::MODULE).limit(Limit::of_group("absent").concurrency(1));
    let problems = app.limit(Limit::new("idle")).build().expect_err("the limits do not fit").problems;
    for expected in [
        "the limit `idle` limits nothing",
        "no subscriber is in the group `absent`",
        "`ask_undeclared` uses the limit `undeclared`, which is not declared",
        "the functions that use the limit `shared` give it different numbers: 1, 2",
    ] {
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected} is missing in {problems:?}");
    }
    // The app decides.
    let app = App::builder("unfit").discover_part(unfit::MODULE).limit(Limit::new("shared").concurrency(5));
    assert!(app.limit(Limit::new("undeclared").concurrency(1)).build().is_ok());
}
