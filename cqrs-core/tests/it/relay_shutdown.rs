//! The shutdown of a relay: a record whose publish is in progress is acknowledged, and not sent again.
use crate::{
    bank::{bank, opened, paid_in, until},
    listener::lock,
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    app::DRAIN,
    storage::Memory,
    transport::{Audience, Published, Record, Subscription, Transport, TransportError},
};
use libtest_mimic::Trial;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Semaphore;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("relay shutdown: a publish in progress ends first, and its record is not sent again", in_progress)]
}

/// A broker whose publishes end when the test lets them.
#[derive(Clone)]
struct Slow {
    published: Arc<Mutex<Vec<u64>>>,
    may_end: Arc<Semaphore>,
}
#[async_trait]
impl Transport for Slow {
    async fn ensure_topics(&self, _: &[&str]) -> Result<(), TransportError> {
        Ok(())
    }
    fn audiences(&self, _: &[&str]) -> Vec<Audience> {
        vec![Audience::broker()]
    }
    async fn publish(&self, _: &Audience, records: &[Record]) -> Published {
        lock(&self.published).extend(records.iter().map(|record| record.position.0));
        self.may_end.acquire().await.expect("the semaphore is never closed").forget();
        Published { acknowledged: records.len(), error: None }
    }
    async fn subscribe(&self, _: &str, _: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        Err(TransportError::permanent("nothing subscribes here"))
    }
}

async fn in_progress() {
    let (memory, broker) = (Memory::new(), Slow { published: Arc::default(), may_end: Arc::new(Semaphore::new(0)) });
    let app = || bank(memory.clone()).transport(broker.clone()).build().expect("the app builds");
    let published = || lock(&broker.published).clone();
    let first = app();
    let running = first.start().await.expect("the app starts");
    opened(&first, "kim").await;
    paid_in(&first, "kim", 1).await;
    until("the publish has begun", async || published() == [2]).await;
    let stopping = tokio::spawn(running.stop(DRAIN));
    tokio::time::sleep(Duration::from_millis(50)).await;
    broker.may_end.add_permits(1_000);
    assert!(stopping.await.expect("the shutdown does not panic"));
    let second = app();
    let running = second.start().await.expect("the app starts");
    paid_in(&second, "kim", 1).await;
    until("the next record is sent", async || published().contains(&3)).await;
    assert_eq!(published(), [2, 3]);
    assert!(running.stop(DRAIN).await);
}
