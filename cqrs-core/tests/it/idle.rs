//! Idle jobs: they share one poll of the log, keep their leases, and are woken by the commits of other processes.
use crate::{
    bank::{FindCard, Pay, bank, opened, paid_in, until},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, Fault, Metadata, Position,
    environment::{Environment, SystemEnvironment},
    storage::{Lease, Memory, Storage},
    testing::{EnvironmentLayer, StorageLayer},
};
use futures_util::future::BoxFuture;
use libtest_mimic::Trial;
use std::{
    collections::BTreeMap,
    future::pending,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("idle: the jobs of a process share one poll of the log", one_poll),
        trial("idle: a reader without new events keeps its lease", kept_lease),
        trial("idle: an event of another process is handled by every reader", other_process),
        trial("idle: a read with a token of another process wakes the readers", woken),
    ]
}

mod readers {
    use crate::bank::AccountEvent;
    use cqrs_core::{BoxError, Change, Recorded, View, projection, subscriber};
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Clone, Serialize, Deserialize, View)]
    #[view(name = "idle", key = String)]
    pub(super) struct Idle {}
    #[projection(name = "idle.first")]
    fn first(_: &Recorded<AccountEvent>) -> Change<Idle> {
        Change::none()
    }
    #[projection(name = "idle.second")]
    fn second(_: &Recorded<AccountEvent>) -> Change<Idle> {
        Change::none()
    }
    #[projection(name = "idle.third")]
    fn third(_: &Recorded<AccountEvent>) -> Change<Idle> {
        Change::none()
    }
    #[subscriber(group = "idle.group", from = "beginning")]
    async fn group(_: Recorded<AccountEvent>) -> Result<(), BoxError> {
        Ok(())
    }
}

/// A storage that other processes write to as well: no commit wakes the jobs of this process.
#[derive(Clone, Default)]
struct Shared {
    memory: Memory,
    /// The number of reads of the high-water mark.
    marks: Arc<AtomicUsize>,
    /// The epochs of each lease that was held, with the number of times it was taken or renewed.
    leases: Arc<Mutex<BTreeMap<(String, u64), usize>>>,
}
#[async_trait]
impl StorageLayer for Shared {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    fn is_exclusive(&self) -> bool {
        false
    }
    async fn wait_for_commit(&self, _: Position) {
        pending().await
    }
    async fn high_water_mark(&self) -> Result<Position, Fault> {
        self.marks.fetch_add(1, SeqCst);
        self.memory.high_water_mark().await
    }
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        let lease = self.memory.lease(reader, owner, ttl).await?;
        if let Some(lease) = &lease {
            let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
            *leases.entry((reader.to_owned(), lease.epoch)).or_default() += 1;
        }
        Ok(lease)
    }
}

/// The poll interval of the jobs.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// An environment in which no poll of the log is ever due.
struct WithoutPolls;
impl EnvironmentLayer for WithoutPolls {
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        if time == POLL_INTERVAL { Box::pin(pending()) } else { SystemEnvironment.sleep(time) }
    }
}

/// Returns an app that shares the database with others, and with it the app of another process.
async fn apps(storage: &Shared, environment: impl Environment) -> (App, App) {
    let app = bank(storage.clone()).discover_part("it::idle::readers").lease(LEASE);
    let app = app.environment(Arc::new(environment) as Arc<dyn Environment>).build().expect("the app builds");
    let other = bank(storage.memory.clone()).build().expect("the app builds");
    other.migrate().await.expect("the database is new");
    (app, other)
}
const LEASE: Duration = Duration::from_millis(900);

/// The bound holds on a busy machine as well: it has fewer polls.
async fn one_poll() {
    let storage = Shared::default();
    let (app, _) = apps(&storage, SystemEnvironment).await;
    assert!(app.log_followers().len() >= 3, "with one reader the test could not fail");
    let background = app.start().await.expect("the app starts");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (before, began) = (storage.marks.load(SeqCst), Instant::now());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let polls = storage.marks.load(SeqCst) - before;
    // The group reads once more with each renewal of its lease, which is due after 300 ms.
    let elapsed = began.elapsed().as_millis();
    let most = elapsed / 90 + elapsed / 250 + 2;
    assert!(
        polls > 0 && polls as u128 <= most,
        "{polls} polls of five readers in {elapsed} ms, and at most {most} are shared"
    );
    assert!(background.stop(Duration::from_secs(5)).await);
}

/// A lost lease would come back with another epoch.
async fn kept_lease() {
    let storage = Shared::default();
    let (app, _) = apps(&storage, SystemEnvironment).await;
    let background = app.start().await.expect("the app starts");
    let renewed = || {
        let leases = storage.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.iter().filter(|((reader, _), _)| reader.starts_with("subscriber/")).map(|(_, times)| *times).max()
    };
    until("the lease of a group is renewed ten times", async || renewed().is_some_and(|times| times >= 10)).await;
    assert!(background.stop(Duration::from_secs(5)).await);
}

async fn other_process() {
    let storage = Shared::default();
    let (app, other) = apps(&storage, SystemEnvironment).await;
    let background = app.start().await.expect("the app starts");
    opened(&other, "kim").await;
    paid_in(&other, "kim", 5).await;
    until("every reader has handled both events", async || app.lag().await.expect("the memory answers").is_empty())
        .await;
    assert!(background.stop(Duration::from_secs(5)).await);
}

async fn woken() {
    let storage = Shared::default();
    let (app, other) = apps(&storage, WithoutPolls).await;
    let background = app.start().await.expect("the app starts");
    opened(&other, "kim").await;
    let committed = other.with(Metadata::default()).send_committed(Pay { id: "kim".into(), amount: 5 }).await;
    let token = other.token(committed.expect("the payment succeeds").position);
    let read = app.with(Metadata::default().token(token)).send(FindCard("kim".into())).await;
    assert_eq!(read.expect("the view has caught up").expect("the card").balance, 5);
    assert!(background.stop(Duration::from_secs(5)).await);
}
