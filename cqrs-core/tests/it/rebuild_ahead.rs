//! A rebuild reads the next events while those before them are written.
use crate::{
    bank::{FindCard, bank, opened, paid_in},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, ByteBudget, Fault, Position,
    app::RebuildEnd,
    event::Entry,
    job::Step,
    storage::{Batch, CommitError, Memory, ReadLimit, Storage},
    testing::StorageLayer,
};
use libtest_mimic::Trial;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

/// More events than the followers at the end of the log share, so that a rebuild reads the storage.
const PAYMENTS: u64 = 1_500;
pub(crate) const ACCOUNTS: u64 = 10;
/// A small budget, so that the copy is filled in many batches.
const BUDGET: usize = 4_000;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("rebuild ahead: the next events are read while those before them are written", read_beside_a_write),
        trial("rebuild ahead: a failed write passes no event", failed_write),
    ]
}

/// A storage whose writes of the copy wait for a read of the log, and fail at first as often as the test wants.
#[derive(Clone, Default)]
struct Observed {
    memory: Memory,
    reads: Arc<AtomicU64>,
    /// The number of writes of the copy during which the log was read.
    writes_with_a_read: Arc<AtomicU64>,
    failures: Arc<AtomicU64>,
}
impl Observed {
    async fn wait_for_a_read(&self) {
        let before = self.reads.load(SeqCst);
        for _ in 0..100 {
            if self.reads.load(SeqCst) > before {
                self.writes_with_a_read.fetch_add(1, SeqCst);
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}
#[async_trait]
impl StorageLayer for Observed {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn log(&self, after: Position, upto: Position, limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        self.reads.fetch_add(1, SeqCst);
        self.memory.log(after, upto, limit).await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        if batch.views.iter().any(|write| write.view == "card~1") {
            self.wait_for_a_read().await;
            if self.failures.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
                return Err(Fault::unavailable("seeded: the database is down").into());
            }
        }
        self.memory.commit(batch).await
    }
}

/// Rebuilds a view of all payments in many batches, and checks that the copy has each of them once.
pub(crate) async fn rebuilds(storage: impl Storage) {
    let mut budget = ByteBudget::default();
    budget.log = BUDGET;
    let app = bank(storage).byte_budget(budget).build().expect("the app builds");
    for account in 0..ACCOUNTS {
        opened(&app, &account.to_string()).await;
    }
    for payment in 0..PAYMENTS {
        paid_in(&app, &(payment % ACCOUNTS).to_string(), 1).await;
    }
    applied(&app).await;
    let done = app.rebuild("card").run().await.expect("the view can be rebuilt");
    assert_eq!((done.end, done.compared, done.different), (RebuildEnd::Switched, ACCOUNTS, 0), "{done:?}");
    assert_eq!(done.events, ACCOUNTS + PAYMENTS);
    let card = app.send(FindCard("3".into())).await.expect("the view can be read").expect("the account has a card");
    assert_eq!(card.balance, (PAYMENTS / ACCOUNTS) as i64);
}
/// Lets the projections apply every event.
async fn applied(app: &App) {
    for follower in &mut app.log_followers() {
        while let Step::Did(_) = follower.step().await.expect("the projection runs") {}
        follower.release().await;
    }
}

async fn read_beside_a_write() {
    let storage = Observed::default();
    rebuilds(storage.clone()).await;
    let writes_with_a_read = storage.writes_with_a_read.load(SeqCst);
    assert!(writes_with_a_read >= 3, "the log was read during {writes_with_a_read} writes");
}

async fn failed_write() {
    let storage = Observed::default();
    storage.failures.store(2, SeqCst);
    rebuilds(storage.clone()).await;
    assert_eq!(storage.failures.load(SeqCst), 0, "two writes failed");
}
