//! A broker that is down when the app starts: once it is up, the jobs that need it do not hold each other up.
use crate::{
    bank::{PaymentMade, bank, opened, paid_in, until},
    listener::lock,
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    BoxError, Dep, Recorded,
    storage::Memory,
    subscriber,
    testing::TransportLayer,
    transport::{InProcess, Transport, TransportError},
};
use libtest_mimic::Trial;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("late broker: a group that blocks its thread does not hold up another one", own_tasks)]
}

#[derive(Default)]
struct Groups {
    is_blocked: AtomicBool,
    released: AtomicBool,
    received: Mutex<Vec<i64>>,
}
#[subscriber(group = "late.blocks")]
async fn blocks(_: Recorded<PaymentMade>, groups: Dep<Groups>) -> Result<(), BoxError> {
    // A task that this thread has woken before runs first, since it could not run on another one.
    tokio::time::sleep(Duration::from_millis(50)).await;
    groups.is_blocked.store(true, Ordering::SeqCst);
    // Ends by itself, since a runtime waits for its threads when a test fails.
    for _ in 0..6_000 {
        if groups.released.load(Ordering::SeqCst) {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
#[subscriber(group = "late.goes_on")]
async fn goes_on(event: Recorded<PaymentMade>, groups: Dep<Groups>) -> Result<(), BoxError> {
    lock(&groups.received).push(event.amount);
    Ok(())
}

/// A broker that is down at the first look.
#[derive(Default)]
struct DownAtFirst {
    broker: InProcess,
    is_up: AtomicBool,
}
#[async_trait]
impl TransportLayer for DownAtFirst {
    fn inner(&self) -> &dyn Transport {
        &self.broker
    }
    async fn ensure_topics(&self, topics: &[&str]) -> Result<(), TransportError> {
        if !self.is_up.swap(true, Ordering::SeqCst) {
            return Err(TransportError::transient("seeded: the broker is down"));
        }
        self.broker.ensure_topics(topics).await
    }
}

async fn own_tasks() {
    let groups = Arc::new(Groups::default());
    let app = bank(Memory::new()).discover_part(module_path!()).provide(groups.clone());
    let app = app.transport(DownAtFirst::default()).build().expect("the app is complete");
    let background = app.start().await.expect("the app starts without the broker");
    opened(&app, "kim").await;
    paid_in(&app, "kim", 1).await;
    until("the first group is blocked", async || groups.is_blocked.load(Ordering::SeqCst)).await;
    paid_in(&app, "kim", 2).await;
    until("the second group goes on", async || *lock(&groups.received) == [1, 2]).await;
    groups.released.store(true, Ordering::SeqCst);
    assert!(background.stop(Duration::from_secs(5)).await, "the jobs end with the app");
}
