//! The shutdown of a relay: a record whose publish is in progress is acknowledged, and not sent again.
use crate::{
    bank::{bank, opened, paid_in, until},
    listener::lock,
    relay_steps::two_of_one_shard,
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    app::DRAIN,
    environment::{Environment, SystemEnvironment},
    event::shard_of,
    storage::Memory,
    testing::EnvironmentLayer,
    transport::{Audience, Published, Record, Subscription, Transport, TransportError},
};
use futures_util::future::BoxFuture;
use libtest_mimic::Trial;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Semaphore;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("relay shutdown: a publish in progress ends first, and its record is not sent again", in_progress),
        trial("relay shutdown: a record behind a refused one is still sent, and a later record is not", behind_refused),
        trial("relay shutdown: it waits two seconds for a broker, and not at all for a group in this process", limit),
    ]
}

/// A broker whose publishes end when the test lets them.
#[derive(Clone)]
struct Slow {
    audience: Audience,
    /// The positions of each publish, in the order in which they began.
    published: Arc<Mutex<Vec<Vec<u64>>>>,
    may_end: Arc<Semaphore>,
    /// The key whose records are refused for good.
    refused: Arc<str>,
}
impl Slow {
    fn new(refused: &str) -> Self {
        let may_end = Arc::new(Semaphore::new(0));
        Slow { audience: Audience::broker(), published: Arc::default(), may_end, refused: refused.into() }
    }
    fn published(&self) -> Vec<Vec<u64>> {
        lock(&self.published).clone()
    }
}
#[async_trait]
impl Transport for Slow {
    async fn ensure_topics(&self, _: &[&str]) -> Result<(), TransportError> {
        Ok(())
    }
    fn audiences(&self, _: &[&str]) -> Vec<Audience> {
        vec![self.audience.clone()]
    }
    async fn publish(&self, _: &Audience, records: &[Record]) -> Published {
        lock(&self.published).push(records.iter().map(|record| record.position.0).collect());
        self.may_end.acquire().await.expect("the semaphore is never closed").forget();
        let acknowledged = records.iter().take_while(|record| record.key != *self.refused).count();
        let error = records.get(acknowledged).map(|_| TransportError::permanent("seeded: the record is too large"));
        Published { acknowledged, error }
    }
    async fn subscribe(&self, _: &str, _: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        Err(TransportError::permanent("nothing subscribes here"))
    }
}

async fn in_progress() {
    let (memory, broker) = (Memory::new(), Slow::new(""));
    let app = || bank(memory.clone()).transport(broker.clone()).build().expect("the app builds");
    let first = app();
    let running = first.start().await.expect("the app starts");
    opened(&first, "kim").await;
    paid_in(&first, "kim", 1).await;
    until("the publish has begun", async || broker.published() == [[2]]).await;
    let stopping = tokio::spawn(running.stop(DRAIN));
    tokio::time::sleep(Duration::from_millis(50)).await;
    broker.may_end.add_permits(1_000);
    assert!(stopping.await.expect("the shutdown does not panic"));
    let second = app();
    let running = second.start().await.expect("the app starts");
    paid_in(&second, "kim", 1).await;
    until("the next record is sent", async || broker.published().concat().contains(&3)).await;
    assert_eq!(broker.published(), [[2], [3]]);
    assert!(running.stop(DRAIN).await);
}

async fn behind_refused() {
    let ([refused, behind], other) = (two_of_one_shard(), "of another shard");
    assert_ne!(shard_of(&behind), shard_of(other));
    let (memory, broker) = (Memory::new(), Slow::new(&refused));
    let app = || bank(memory.clone()).transport(broker.clone()).build().expect("the app builds");
    let first = app();
    for id in [&refused, &behind, other] {
        opened(&first, id).await;
    }
    paid_in(&first, &refused, 1).await;
    paid_in(&first, &behind, 2).await;
    let running = first.start().await.expect("the app starts");
    until("a publish has begun", async || broker.published() == [[4, 5]]).await;
    // While it is in progress, a later record of the shard waits, and a still later one of another shard does not.
    paid_in(&first, &behind, 3).await;
    paid_in(&first, other, 4).await;
    until("the other shard's publish has begun", async || broker.published() == [vec![4, 5], vec![7]]).await;
    let stopping = tokio::spawn(running.stop(DRAIN));
    tokio::time::sleep(Duration::from_millis(50)).await;
    broker.may_end.add_permits(1_000);
    assert!(stopping.await.expect("the shutdown does not panic"));
    assert_eq!(broker.published(), [vec![4, 5], vec![7], vec![5]]);
    let second = app();
    let running = second.start().await.expect("the app starts");
    until("the last record is sent", async || broker.published().concat().contains(&6)).await;
    assert_eq!(broker.published(), [vec![4, 5], vec![7], vec![5], vec![6]]);
    assert!(running.stop(DRAIN).await);
}

/// The system's environment, which notes the sleeps.
#[derive(Clone, Default)]
struct Sleeps(Arc<Mutex<Vec<Duration>>>);
impl EnvironmentLayer for Sleeps {
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        lock(&self.0).push(time);
        SystemEnvironment.sleep(time)
    }
}
async fn limit() {
    for (audience, waits) in [(Audience::broker(), true), (Audience("mail@bank.events.v1".into()), false)] {
        let (sleeps, broker) = (Sleeps::default(), Slow { audience, ..Slow::new("") });
        let environment: Arc<dyn Environment> = Arc::new(sleeps.clone());
        let app = bank(Memory::new()).transport(broker.clone()).environment(environment);
        let app = app.build().expect("the app builds");
        let running = app.start().await.expect("the app starts");
        opened(&app, "kim").await;
        paid_in(&app, "kim", 1).await;
        until("the publish has begun", async || broker.published() == [[2]]).await;
        lock(&sleeps.0).clear();
        assert!(running.stop(DRAIN).await);
        assert_eq!(lock(&sleeps.0).contains(&Duration::from_secs(2)), waits, "{:?}", broker.audience);
    }
}
