//! Circuit breakers step by step, on a clock of the test: the probes of a paused reader, and the keys that are redelivered
//! once it goes on.
use crate::{
    bank::{AccountEvent, PaymentMade, bank, opened, until},
    clock::Clock,
    listener::{Scripted, lock, received, record},
    trials::trial,
};
use cqrs_core::{
    App, BoxError, CircuitBreaker, Dep, IntegrationEvent, Recorded, RetryPolicy,
    app::LeftMessages,
    consumer::LogFollower,
    environment::Environment,
    job::Step,
    permanent,
    storage::Memory,
    subscriber,
    transport::{Partition, Signal},
};
use libtest_mimic::Trial;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("breaker steps: of a paused group one message is tried in an interval, a new one before others", probes),
        trial("breaker steps: keys that were parked by an outage are redelivered after it, and no other", recovered),
        trial("breaker steps: a message that is parked just after the breaker has closed is redelivered", closed),
        trial("breaker steps: without a circuit breaker a parked message waits for an operator", without),
    ]
}

/// A mail server that refuses the mail to some accounts, and knows no address of others.
#[derive(Default)]
struct MailServer {
    clock: Clock,
    refused: Mutex<BTreeSet<&'static str>>,
    unknown: Mutex<BTreeSet<&'static str>>,
    /// The time that a mail takes, in milliseconds.
    takes: AtomicI64,
    tried: Mutex<Vec<String>>,
}
impl MailServer {
    fn refuse<const N: usize>(&self, accounts: [&'static str; N]) {
        *lock(&self.refused) = accounts.into();
    }
    fn mail(&self, id: &str) -> Result<(), BoxError> {
        lock(&self.tried).push(id.to_owned());
        self.clock.advance(self.takes.load(SeqCst));
        if lock(&self.unknown).contains(id) {
            return Err(permanent("seeded: there is no such address"));
        }
        match lock(&self.refused).contains(id) {
            true => Err("seeded: the mail server is down".into()),
            false => Ok(()),
        }
    }
    /// Returns the accounts of all attempts, in order.
    fn tried(&self) -> Vec<String> {
        lock(&self.tried).clone()
    }
}
mod topic {
    use super::{BoxError, Dep, MailServer, PaymentMade, Recorded, subscriber};
    #[subscriber(group = "steps.mail")]
    async fn mail(event: Recorded<PaymentMade>, server: Dep<MailServer>) -> Result<(), BoxError> {
        server.mail(&event.event.id)
    }
}
mod log {
    use super::{AccountEvent, BoxError, Dep, MailServer, Recorded, subscriber};
    #[subscriber(group = "steps.own-mail", from = "beginning")]
    async fn mail(event: Recorded<AccountEvent>, server: Dep<MailServer>) -> Result<(), BoxError> {
        server.mail(&event.aggregate_id)
    }
}
const READER: &str = "subscriber/steps.own-mail";

/// A breaker opens when the messages of two keys fail, and lets one message pass in four seconds.
fn retry_policy(attempts: u32) -> RetryPolicy {
    let mut breaker = CircuitBreaker::default();
    (breaker.keys, breaker.probe_interval) = (2, Duration::from_secs(4));
    let mut retry_policy = RetryPolicy::default();
    (retry_policy.attempts, retry_policy.first) = (attempts, Duration::from_millis(1));
    retry_policy.circuit_breaker = Some(breaker);
    retry_policy
}
async fn open_breaker(app: &App) -> Option<String> {
    let health = app.health().await;
    let breakers = health.components.into_iter().find(|component| component.name == "circuit_breakers");
    breakers.expect("the health has the component").error
}

async fn probes() {
    let (server, (transport, emit, notes)) = (Arc::new(MailServer::default()), Scripted::new());
    let environment: Arc<dyn Environment> = Arc::new(server.clock.clone());
    let app = App::builder("mail").discover_part("it::breaker_steps::topic").provide(server.clone());
    let app = app.storage(Memory::new()).transport(transport).environment(environment);
    let app = app.retry_policy(retry_policy(8)).build().expect("the app builds");
    let mut group = app.consumers().await.expect("the transport has one subscription").remove(0);
    let running = tokio::spawn(async move { while group.step().await.is_ok() {} });
    let partition = Partition { topic: PaymentMade::TOPIC.into(), part: "0".into() };
    let payment = |id: &str, offset: u64| {
        let record = record(&PaymentMade { id: id.into(), amount: 1 }, offset, Uuid::from_u128(u128::from(offset) + 1));
        received(record, &partition, offset)
    };
    emit(Signal::Assigned(vec![partition.clone()]));
    server.refuse(["kim", "lee", "park"]);
    emit(Signal::Records(vec![payment("kim", 0), payment("lee", 1)]));
    until("the group is paused", async || open_breaker(&app).await.is_some()).await;
    let before = server.tried().len();
    let tried = || server.tried()[before..].to_vec();

    // Messages that were tried come an additional quarter of the interval later.
    for uptime in [0, 3_999, 4_000, 4_999] {
        server.clock.set(uptime);
        server.clock.many_sleeps().await;
        assert!(tried().is_empty(), "{:?} at {uptime} ms", tried());
    }
    server.clock.set(5_000);
    until("one of them is the probe", async || tried().len() == 1).await;
    server.clock.many_sleeps().await;
    assert_eq!(tried().len(), 1, "the probe has failed, and the next one is due at 9 s");

    server.clock.set(8_000);
    emit(Signal::Records(vec![payment("park", 2)]));
    server.clock.many_sleeps().await;
    assert_eq!(tried().len(), 1);
    // The next probe takes longer than the interval: afterwards a new message would be due, but those were tried.
    server.takes.store(4_500, SeqCst);
    server.clock.set(9_000);
    until("the new message is the probe", async || tried().get(1).is_some_and(|id| id == "park")).await;
    server.clock.many_sleeps().await;
    assert_eq!(tried().len(), 2);

    server.takes.store(0, SeqCst);
    server.refuse([]);
    server.clock.set(14_000);
    until("a probe succeeds, and all are handled", async || notes.acknowledged().last() == Some(&2)).await;
    assert_eq!((tried().len(), open_breaker(&app).await), (5, None));
    assert!(app.parked().list(&Default::default()).await.expect("the memory answers").is_empty());
    running.abort();
}

/// The follower of the log, stepped by hand, and the job that redelivers parked messages.
struct OwnLog {
    server: Arc<MailServer>,
    app: App,
    follower: LogFollower,
    redeliveries: LeftMessages,
}
impl OwnLog {
    async fn new(retry_policy: RetryPolicy, accounts: &[&str]) -> Self {
        let server = Arc::new(MailServer::default());
        let environment: Arc<dyn Environment> = Arc::new(server.clock.clone());
        let app = bank(Memory::new()).discover_part("it::breaker_steps::log").provide(server.clone());
        let app = app.environment(environment).retry_policy(retry_policy).build().expect("the app builds");
        for id in accounts {
            opened(&app, id).await;
        }
        let follower = app.log_followers().into_iter().find(|follower| follower.name() == READER);
        let redeliveries = app.left_messages();
        OwnLog { server, follower: follower.expect("the group follows the log"), redeliveries, app }
    }
    /// Takes so many steps, and returns which of them have succeeded.
    async fn steps(&mut self, count: usize) -> Vec<bool> {
        let mut succeeded = Vec::new();
        for _ in 0..count {
            succeeded.push(self.follower.step().await.is_ok());
        }
        succeeded
    }
    async fn redelivered(&mut self) -> usize {
        match self.redeliveries.step().await.expect("the memory answers") {
            Step::Did(count) => count,
            _ => 0,
        }
    }
    /// Returns the parked keys, each with the attempts of its first message.
    async fn parked(&self) -> Vec<(String, u32)> {
        let mut parked = Vec::new();
        for key in self.app.parked().list(&Default::default()).await.expect("the memory answers") {
            let messages = self.app.parked().show(READER, &key.key, 0, 1).await.expect("the memory answers");
            parked.push((key.key, messages[0].attempts));
        }
        parked
    }
}
fn keys<const N: usize>(parked: [(&str, u32); N]) -> Vec<(String, u32)> {
    parked.map(|(id, attempts)| (format!("account/{id}"), attempts)).to_vec()
}

async fn recovered() {
    let mut log = OwnLog::new(retry_policy(2), &["kim", "lee", "park", "choi"]).await;
    log.server.refuse(["kim", "lee"]);
    lock(&log.server.unknown).insert("park");
    assert_eq!(log.steps(3).await, [false, false, true]);
    assert_eq!((log.parked().await, open_breaker(&log.app).await), (keys([("kim", 2)]), None));
    // The failure of the second key opens the breaker. Its message is parked after as many probes.
    assert_eq!(log.steps(3).await, [false, false, true]);
    let error = open_breaker(&log.app).await.expect("the reader is paused");
    assert!(
        error.ends_with(
            "subscriber/steps.own-mail for account.opened (failing keys: 2): seeded: the mail server is down"
        )
    );
    assert_eq!(log.steps(2).await, [false, true]);
    assert_eq!(log.parked().await, keys([("kim", 2), ("lee", 2), ("park", 1)]));
    log.server.refuse([]);
    assert_eq!((log.redelivered().await, log.steps(1).await), (0, vec![true]), "a message succeeds");
    assert_eq!(open_breaker(&log.app).await, None);
    assert_eq!(log.redelivered().await, 2);
    assert_eq!(log.parked().await, keys([("park", 1)]), "a permanent failure is not one of the outage");
    assert_eq!(log.server.tried(), ["kim", "kim", "lee", "lee", "park", "choi", "kim", "lee"]);
}

async fn closed() {
    let mut log = OwnLog::new(retry_policy(2), &["kim", "lee"]).await;
    log.server.refuse(["kim", "lee"]);
    assert_eq!(log.steps(5).await, [false, false, true, false, false]);
    assert!(open_breaker(&log.app).await.is_some());
    // The parked key is the probe, since nothing else can be tried. It succeeds before the second key is parked.
    log.server.refuse([]);
    log.server.clock.set(6_000);
    assert_eq!((log.redelivered().await, open_breaker(&log.app).await), (1, None));
    assert_eq!((log.steps(1).await, log.parked().await), (vec![true], keys([("lee", 2)])));
    assert_eq!((log.redelivered().await, log.parked().await), (1, vec![]));
    assert_eq!(log.server.tried(), ["kim", "kim", "lee", "lee", "kim", "lee"]);
}

async fn without() {
    let mut retry_policy = retry_policy(2);
    retry_policy.circuit_breaker = None;
    let mut log = OwnLog::new(retry_policy, &["kim", "lee"]).await;
    log.server.refuse(["kim"]);
    assert_eq!(log.steps(4).await, [false, false, true, true]);
    log.server.refuse([]);
    assert_eq!((log.redelivered().await, log.parked().await), (0, keys([("kim", 2)])));
    assert_eq!(log.server.tried(), ["kim", "kim", "lee"]);
}
