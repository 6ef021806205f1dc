//! The states of event-sourced aggregates that a process keeps: a load folds the events after them, whoever wrote those.
use crate::{
    purse::{Add, Find, StoredAs, counting, emptied, no_states, on_each, open, opened, purses, shared},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, ByteBudget,
    storage::{Memory, Storage},
    testing::StorageLayer,
};
use libtest_mimic::Trial;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

const EVENT_SOURCED: &[StoredAs] = &[StoredAs::Events, StoredAs::Snapshots(10)];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("warm states: a restored database is read from its beginning", restored),
        trial("warm states: those used last stay within the budget", within_the_budget),
    ];
    trials.extend(on_each("warm states: a load folds the events since the last one", EVENT_SOURCED, last_events));
    trials.extend(on_each("warm states: the events of another process are folded", EVENT_SOURCED, two_processes));
    trials.extend(on_each("warm states: an aggregate that ends and begins again is loaded", EVENT_SOURCED, deleted));
    trials
}

/// Also run on PostgreSQL.
pub(crate) async fn last_events(storage: Arc<dyn Storage>, stored_as: StoredAs) {
    let (counted, events) = counting(&storage);
    let app = purses(counted, stored_as, false).build().expect("the app builds");
    opened(&app, "kim").await;
    added(&app, 1..=30).await;
    // The first load after the beginning has one event, and each later one the last event of the state and one more.
    assert_eq!(events.load(SeqCst), 1 + 29 * 2);
    assert_eq!(found(&app).await, 30);
}
async fn added(app: &App, totals: std::ops::RangeInclusive<i64>) {
    for total in totals {
        assert_eq!(app.send(Add("kim".into(), 1)).await.expect("the amount is added"), total);
    }
}
async fn found(app: &App) -> i64 {
    app.send(Find("kim".into())).await.expect("the purse is read").expect("the purse exists").1
}

/// Also run on PostgreSQL.
pub(crate) async fn two_processes(storage: Arc<dyn Storage>, stored_as: StoredAs) {
    let app = || purses(shared(&storage), stored_as, false).build().expect("the app builds");
    let (first, second) = (app(), app());
    opened(&first, "kim").await;
    for round in 0..10 {
        added(&first, round * 5 + 1..=round * 5 + 2).await;
        added(&second, round * 5 + 3..=round * 5 + 5).await;
    }
    assert_eq!((found(&first).await, found(&second).await), (50, 50));
}

/// Also run on PostgreSQL.
pub(crate) async fn deleted(storage: Arc<dyn Storage>, stored_as: StoredAs) {
    let app = || purses(shared(&storage), stored_as, true).build().expect("the app builds");
    let (first, second) = (app(), app());
    for _ in 0..3 {
        opened(&first, "kim").await;
        added(&first, 1..=4).await;
        added(&second, 5..=7).await;
        first.send(emptied("kim")).await.expect("the purse is closed");
        for app in [&first, &second] {
            assert_eq!(app.send(Find("kim".into())).await.expect("the purse is read"), None);
        }
        second.send(open("kim", true)).await.expect("the id is free");
        added(&first, 1..=1).await;
        second.send(emptied("kim")).await.expect("the purse is closed");
    }
}

/// Two databases, of which the second takes the place of the first, as a restored one does.
#[derive(Clone)]
struct Replaced([Memory; 2], Arc<AtomicBool>);
#[async_trait]
impl StorageLayer for Replaced {
    fn inner(&self) -> &dyn Storage {
        &self.0[usize::from(self.1.load(SeqCst))]
    }
}
async fn restored() {
    let (memories, is_restored) = ([Memory::new(), Memory::new()], Arc::<AtomicBool>::default());
    for (memory, first) in memories.iter().zip([1, 100]) {
        let app = purses(memory.clone(), StoredAs::Events, false).build().expect("the app builds");
        opened(&app, "kim").await;
        app.send(Add("kim".into(), first)).await.expect("the amount is added");
        app.send(Add("kim".into(), 1)).await.expect("the amount is added");
    }
    let storage = Replaced(memories, is_restored.clone());
    let app = purses(storage, StoredAs::Events, false).build().expect("the app builds");
    assert_eq!(found(&app).await, 2);
    is_restored.store(true, SeqCst);
    // The last event is equal in both but for its id.
    assert_eq!(found(&app).await, 101);
}

async fn within_the_budget() {
    let mut few = ByteBudget::default();
    few.states = 1_000; // each half of it holds two of these states
    for (budget, of_used) in [(few, 1), (no_states(), 3)] {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new());
        let (counted, events) = counting(&storage);
        let app = purses(counted, StoredAs::Events, false).byte_budget(budget).build().expect("the app builds");
        let find = async |id: &str| app.send(Find(id.into())).await.expect("the purse is read");
        for id in (0..20).map(|id| id.to_string()) {
            opened(&app, &id).await;
            for _ in 0..2 {
                app.send(Add(id.clone(), 1)).await.expect("the amount is added");
            }
            find("0").await;
        }
        for (id, expected) in [("0", of_used), ("1", 3)] {
            let before = events.load(SeqCst);
            find(id).await;
            assert_eq!(events.load(SeqCst) - before, expected, "purse {id}");
        }
    }
}
