//! Commands that meet a conflict each time, queries behind a middleware, and the stored form of idempotency keys.
use crate::{
    bank::{FindCard, Pay, bank, opened},
    listener::lock,
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    Call, Error, ErrorKind, Fault, Metadata, Middleware, Next, Outcome, Position,
    environment::{Environment, SystemEnvironment},
    storage::{Batch, CommitError, Memory, Storage},
    testing::{EnvironmentLayer, StorageLayer},
};
use futures_util::future::BoxFuture;
use libtest_mimic::Trial;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("retries: a command that meets a conflict each time ends after sixteen attempts", attempts),
        trial("retries: after a conflict a command queues once, and waits longer before each further attempt", waits),
        trial("retries: a middleware sees the queries of callers that need no position", query),
        trial("retries: the stored key of a command is the same in every version", stored_key),
    ]
}

/// Memory that refuses the next commits of a command, and keeps the keys of stored responses.
#[derive(Clone, Default)]
struct Refusing {
    memory: Memory,
    refuses: Arc<AtomicUsize>,
    commits: Arc<AtomicUsize>,
    keys: Arc<Mutex<Vec<String>>>,
}
#[async_trait]
impl StorageLayer for Refusing {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        self.commits.fetch_add(1, SeqCst);
        lock(&self.keys).extend(batch.response.as_ref().map(|response| response.key.clone()));
        match self.refuses.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Err(CommitError::Conflict { what: "account kim".into(), exists: false, versions: None }),
            Err(_) => self.memory.commit(batch).await,
        }
    }
}
/// Records the sleeps, and waits a moment only. Its random numbers are the largest, so that waits are the longest.
#[derive(Clone, Default)]
struct Waits(Arc<Mutex<Vec<Duration>>>);
impl EnvironmentLayer for Waits {
    fn random(&self) -> u64 {
        u64::MAX
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        lock(&self.0).push(time);
        SystemEnvironment.sleep(Duration::from_millis(1))
    }
}
fn one() -> Pay {
    Pay { id: "kim".into(), amount: 1 }
}

async fn attempts() {
    let (storage, waits) = (Refusing::default(), Waits::default());
    let environment: Arc<dyn Environment> = Arc::new(waits);
    let app = bank(storage.clone()).environment(environment).build().expect("the app builds");
    opened(&app, "kim").await;
    storage.refuses.store(15, SeqCst);
    storage.commits.store(0, SeqCst);
    assert_eq!(app.send(one()).await.expect("the sixteenth attempt succeeds"), 1);
    assert_eq!(storage.commits.swap(0, SeqCst), 16);
    storage.refuses.store(usize::MAX, SeqCst);
    let error = app.send(one()).await.expect_err("each attempt meets a conflict");
    assert!(matches!(error, Error::Conflict { .. }) && error.kind() == ErrorKind::Conflict, "{error}");
    assert_eq!(storage.commits.load(SeqCst), 16);
}

async fn waits() {
    let (storage, waits) = (Refusing::default(), Waits::default());
    let environment: Arc<dyn Environment> = Arc::new(waits.clone());
    let app = bank(storage.clone()).environment(environment).build().expect("the app builds");
    opened(&app, "kim").await;
    storage.refuses.store(5, SeqCst);
    lock(&waits.0).clear();
    assert_eq!(app.send(one()).await.expect("the sixth attempt succeeds"), 1);
    // The first conflict leads to the queue, whose turn comes at once. The attempts after it have the turn.
    let longest: Vec<_> = lock(&waits.0)
        .iter()
        .filter(|wait| **wait < Duration::from_secs(1))
        .map(|wait| wait.as_micros().div_ceil(1_000))
        .collect();
    assert_eq!(longest, [4, 8, 16, 32]);
}

/// Counts the requests that pass.
struct Counting(Arc<AtomicUsize>);
#[async_trait]
impl Middleware for Counting {
    async fn around(&self, _: &Call<'_>, next: Next<'_>) -> Result<Outcome, Fault> {
        self.0.fetch_add(1, SeqCst);
        next.run().await
    }
}
async fn query() {
    let passed = Arc::new(AtomicUsize::new(0));
    let app = bank(Memory::new()).layer(Counting(passed.clone())).build().expect("the app builds");
    assert_eq!(app.send(FindCard("kim".into())).await.expect("the query succeeds"), None);
    assert_eq!(passed.load(SeqCst), 1);
}

/// A key of another form would not find the responses that a former version has stored, and repeat their commands.
async fn stored_key() {
    let storage = Refusing::default();
    let app = bank(storage.clone()).build().expect("the app builds");
    opened(&app, "kim").await;
    app.with(Metadata::default().key("once").caller("teller")).send(one()).await.expect("the payment succeeds");
    assert_eq!(*lock(&storage.keys), ["50a692ca7e9ae24809ff22f89597d41532d9c4f0163925889e7f8391e1025756"]);
}
