//! Readers that begin with the next event: a new one handles no earlier event and every later one.
#![cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "some functions are for the tests on PostgreSQL"))]
use crate::{
    bank::{bank, opened, paid_in},
    listener::lock,
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, AppBuilder, Fault, Position,
    storage::{Batch, CommitError, Memory, Storage, StoredProgram},
    testing::{StorageLayer, TestApp},
};
use libtest_mimic::Trial;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

pub(crate) fn trials() -> Vec<Trial> {
    #[cfg_attr(not(feature = "sqlite"), allow(unused_mut, reason = "memory alone is one list"))]
    let mut trials = vec![
        trial(
            "first event: a new reader begins with the next event, and its place outlasts the process: memory",
            || begins_now(Memory::new()),
        ),
        trial("first event: a reader that begins at an empty log misses no event: memory", || {
            at_empty_log(Memory::new())
        }),
        trial("first event: a replica that starts while another one gets ready moves no reader past an event", beside),
        trial("first event: a reader that has begun at the beginning does not jump", begun),
        trial("first event: the subscribers of a group begin together", different),
        trial("first event: seeded: without a stored position a new reader handles all old events", unstored),
        trial("first event: seeded: without a stored declaration a reader misses an event", undeclared),
        trial(
            "first event: seeded: with a mark that is read after the earlier programs a reader misses an event",
            late,
        ),
    ];
    #[cfg(feature = "sqlite")]
    trials.extend([
        trial(
            "first event: a new reader begins with the next event, and its place outlasts the process: sqlite",
            || on_sqlite(begins_now),
        ),
        trial("first event: a reader that begins at an empty log misses no event: sqlite", || on_sqlite(at_empty_log)),
    ]);
    trials
}
#[cfg(feature = "sqlite")]
async fn on_sqlite<F: Future<Output = ()>>(test: fn(cqrs_core::storage::Sqlite) -> F) {
    let directory = tempfile::tempdir().expect("a temporary directory for the database");
    let storage = cqrs_core::storage::Sqlite::open(directory.path().join("bank.db")).await;
    test(storage.expect("a new database opens")).await;
}

pub(crate) type Received = Mutex<Vec<i64>>;
/// The amounts that a view holds, in order.
fn added(found: Option<Vec<i64>>, amount: i64) -> Vec<i64> {
    found.unwrap_or_default().into_iter().chain([amount]).collect()
}

/// The functions that the newer program adds to the bank.
mod news {
    use super::{Received, added, lock};
    use crate::bank::AccountEvent;
    use cqrs_core::{BoxError, Change, Dep, Recorded, View, projection, subscriber};
    use serde::{Deserialize, Serialize};

    #[subscriber(group = "bank.news", from = "now")]
    async fn news(event: Recorded<AccountEvent>, received: Dep<Received>) -> Result<(), BoxError> {
        if let AccountEvent::Paid { amount } = event.event {
            lock(&received).push(amount);
        }
        Ok(())
    }
    #[derive(Clone, Serialize, Deserialize, View)]
    #[view(name = "recent", key = String)]
    struct Recent(Vec<i64>);
    #[projection(name = "recent", from = "now")]
    fn recent(event: &AccountEvent) -> Change<Recent> {
        let AccountEvent::Paid { amount } = *event else { return Change::none() };
        Change::none().and("all".to_owned(), move |found: Option<Recent>| {
            Some(Recent(added(found.map(|recent| recent.0), amount)))
        })
    }
    #[derive(Clone, Serialize, Deserialize, View)]
    #[view(name = "history", key = String)]
    struct History(Vec<i64>);
    #[projection(name = "history")]
    fn history(event: &AccountEvent) -> Change<History> {
        let AccountEvent::Paid { amount } = *event else { return Change::none() };
        Change::none().and("all".to_owned(), move |found: Option<History>| {
            Some(History(added(found.map(|history| history.0), amount)))
        })
    }
}
/// The same group, from the beginning.
mod all_news {
    use super::{Received, lock};
    use crate::bank::AccountEvent;
    use cqrs_core::{BoxError, Dep, Recorded, subscriber};

    #[subscriber(group = "bank.news", from = "beginning")]
    async fn news(event: Recorded<AccountEvent>, received: Dep<Received>) -> Result<(), BoxError> {
        if let AccountEvent::Paid { amount } = event.event {
            lock(&received).push(amount);
        }
        Ok(())
    }
}
/// Two subscribers of one group that disagree.
mod mixed {
    use crate::bank::AccountEvent;
    use cqrs_core::{BoxError, Recorded, subscriber};

    #[subscriber(group = "bank.mixed", from = "beginning")]
    async fn first(_: Recorded<AccountEvent>) -> Result<(), BoxError> {
        Ok(())
    }
    #[subscriber(group = "bank.mixed", from = "now")]
    async fn second(_: Recorded<AccountEvent>) -> Result<(), BoxError> {
        Ok(())
    }
}

pub(crate) fn older(storage: impl Storage) -> App {
    bank(storage).build().expect("the app builds")
}
pub(crate) fn newer(storage: impl Storage, received: &Arc<Received>) -> AppBuilder {
    bank(storage).discover_part("it::first_event::news").provide(received.clone())
}
async fn first_start(storage: impl Storage, received: &Arc<Received>) {
    newer(storage, received).build().expect("the app builds").migrate().await.expect("the program fits");
}
async fn view(app: &App, name: &str) -> Vec<i64> {
    let found = app.storage().views(name, &["all".into()]).await.expect("the database responds");
    let value = found.into_iter().next().and_then(|view| view.value);
    value.map_or_else(Vec::new, |value| serde_json::from_slice(&value).expect("a list of amounts"))
}

/// Returns the events that the subscriber has received, and the views that begin now and at the beginning. The first start of the
/// newer program runs on `first`, and its process ends before it handles an event. After it, the older program appends.
async fn scenario<S: Storage + Clone>(storage: S, first: impl Storage) -> [Vec<i64>; 3] {
    let (old, received) = (older(storage.clone()), Arc::new(Received::default()));
    old.migrate().await.expect("the database is new");
    opened(&old, "kim").await;
    paid_in(&old, "kim", 1).await;
    paid_in(&old, "kim", 2).await;
    first_start(first, &received).await;
    paid_in(&old, "kim", 3).await;
    old.migrate().await.expect("a known program fits");
    paid_in(&old, "kim", 4).await;
    let app = TestApp::start(newer(storage, &received)).await.expect("the app starts");
    paid_in(&app, "kim", 5).await;
    app.settle().await;
    let received = lock(&received).clone();
    let found = [received, view(&app, "recent").await, view(&app, "history").await];
    assert!(app.stop().await);
    found
}
pub(crate) async fn begins_now<S: Storage + Clone>(storage: S) {
    let all = vec![1, 2, 3, 4, 5];
    assert_eq!(scenario(storage.clone(), storage).await, [vec![3, 4, 5], vec![3, 4, 5], all]);
}

/// As `scenario`, with an empty log at the first start.
async fn empty_scenario<S: Storage + Clone>(storage: S, first: impl Storage) -> Vec<i64> {
    let received = Arc::new(Received::default());
    storage.migrate().await.expect("the database is new");
    first_start(first, &received).await;
    let old = older(storage.clone());
    opened(&old, "kim").await;
    paid_in(&old, "kim", 1).await;
    let app = TestApp::start(newer(storage, &received)).await.expect("the app starts");
    app.settle().await;
    assert!(app.stop().await);
    lock(&received).clone()
}
pub(crate) async fn at_empty_log<S: Storage + Clone>(storage: S) {
    assert_eq!(empty_scenario(storage.clone(), storage).await, [1]);
}

/// Another replica gets ready and appends an event.
async fn gets_ready(other: &Mutex<Option<App>>) -> Result<(), Fault> {
    let other = lock(other).take();
    if let Some(other) = other {
        other.migrate().await?;
        opened(&other, "kim").await;
        paid_in(&other, "kim", 1).await;
    }
    Ok(())
}
/// A storage at which another replica gets ready and appends an event while this one reads the earlier programs.
struct Beside {
    memory: Memory,
    other: Mutex<Option<App>>,
    is_before: bool,
}
#[async_trait]
impl StorageLayer for Beside {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn programs(&self, after: u64) -> Result<Vec<StoredProgram>, Fault> {
        let before = self.memory.programs(after).await?;
        gets_ready(&self.other).await?;
        if self.is_before { self.memory.programs(after).await } else { Ok(before) }
    }
}
async fn beside() {
    for is_before in [true, false] {
        let (memory, received) = (Memory::new(), Arc::new(Received::default()));
        let other = newer(memory.clone(), &received).build().expect("the app builds");
        let beside = Beside { memory, other: Mutex::new(Some(other)), is_before };
        let app = TestApp::start(newer(beside, &received)).await.expect("the app starts");
        app.settle().await;
        assert_eq!(*lock(&received), [1], "before the read: {is_before}");
        assert!(app.stop().await);
    }
}

async fn begun() {
    let (memory, received) = (Memory::new(), Arc::new(Received::default()));
    let all = bank(memory.clone()).discover_part("it::first_event::all_news").provide(received.clone());
    let all = all.build().expect("the app builds");
    all.migrate().await.expect("the database is new");
    opened(&all, "kim").await;
    paid_in(&all, "kim", 1).await;
    let app = TestApp::start(newer(memory, &received)).await.expect("the app starts");
    app.settle().await;
    assert_eq!(*lock(&received), [1], "the group had begun, and had not handled the event yet");
    assert!(view(&app, "recent").await.is_empty(), "the projection is new");
    assert!(app.stop().await);
}

async fn different() {
    let app = bank(Memory::new()).discover_part("it::first_event::mixed");
    let error = app.build().expect_err("the subscribers disagree");
    let expected = "the subscribers of group `bank.mixed` to the own log share one checkpoint: write the same `from` in \
                    each, or give one of them another group";
    assert!(error.problems.iter().any(|problem| problem == expected), "{error}");
}

/// A storage that does not store the first position of a reader.
struct Unstored(Memory);
#[async_trait]
impl StorageLayer for Unstored {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        batch.checkpoint_moves.clear();
        self.0.commit(batch).await
    }
}
async fn unstored() {
    let memory = Memory::new();
    let [received, recent, _] = scenario(memory.clone(), Unstored(memory)).await;
    assert_eq!([received, recent], [[1, 2, 3, 4, 5]; 2], "the bug is not seen");
}

/// A storage that does not store the declaration of a program.
struct Undeclared(Memory);
#[async_trait]
impl StorageLayer for Undeclared {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn declare_program(&self, _: &str) -> Result<(u64, Duration), Fault> {
        Ok((1, Duration::ZERO))
    }
}
async fn undeclared() {
    let memory = Memory::new();
    assert!(empty_scenario(memory.clone(), Undeclared(memory)).await.is_empty(), "the bug is not seen");
}

/// A storage that answers as if the high-water mark were read after the earlier programs: another replica gets ready and
/// appends an event between the two.
struct LateMark {
    memory: Memory,
    other: Mutex<Option<App>>,
}
#[async_trait]
impl StorageLayer for LateMark {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn high_water_mark(&self) -> Result<Position, Fault> {
        gets_ready(&self.other).await?;
        self.memory.high_water_mark().await
    }
    async fn programs(&self, _: u64) -> Result<Vec<StoredProgram>, Fault> {
        Ok(Vec::new())
    }
}
async fn late() {
    let (memory, received) = (Memory::new(), Arc::new(Received::default()));
    let other = newer(memory.clone(), &received).build().expect("the app builds");
    first_start(LateMark { memory: memory.clone(), other: Mutex::new(Some(other)) }, &received).await;
    let app = TestApp::start(newer(memory, &received)).await.expect("the app starts");
    app.settle().await;
    assert!(lock(&received).is_empty(), "the bug is not seen");
    assert!(app.stop().await);
}
