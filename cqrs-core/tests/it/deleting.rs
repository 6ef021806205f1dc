//! The end of an aggregate: what finds it afterwards, and what may use its id and its unique values.
use crate::{
    purse::{Add, Close, CloseAndFind, CloseNothing, Find, StoredAs, emptied, on_each, open, opened, purses, shared},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    Aggregate, App, Error, ErrorKind, Event, EventSourced, Evolve, Fault,
    storage::{Loaded, Memory, Storage, StoredRow},
    testing::StorageLayer,
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub(crate) const ALL: &[StoredAs] = &[StoredAs::State, StoredAs::Events, StoredAs::Snapshots(2)];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials =
        on_each("deleting: a deleted aggregate is not found, its id is refused and its value is free", ALL, ends);
    trials.extend(on_each("deleting: an id that can be used again begins anew after the end", ALL, begins_anew));
    trials.push(trial("deleting: a load that ends after the deletion of its command finds nothing", late_load));
    trials.push(trial("deleting: an event with the name of an end is refused when the app is built", reserved));
    trials
}

/// Also run on PostgreSQL.
pub(crate) async fn ends(storage: Arc<dyn Storage>, stored_as: StoredAs) {
    let app = purses(shared(&storage), stored_as, false).build().expect("the app builds");
    opened(&app, "kim").await;
    app.send(Add("kim".into(), 5)).await.expect("the amount is added");
    let refused = app.send(Close { id: "kim".into(), empties: false }).await.expect_err("the purse is not empty");
    assert_eq!(refused.kind(), ErrorKind::Precondition);
    assert!(app.send(CloseNothing("kim".into())).await.expect("nothing is done"), "no event, no end");
    assert_eq!(app.send(Find("kim".into())).await.expect("it is found"), Some(("name of kim".into(), 5)));
    assert_eq!(app.send(emptied("kim")).await.expect("the purse is closed"), 0);
    assert_eq!(app.send(Find("kim".into())).await.expect("the database responds"), None);
    for again in [app.send(Add("kim".into(), 1)).await, app.send(emptied("kim")).await] {
        assert!(matches!(again, Err(Error::NotFound { .. })), "{again:?}");
    }
    for looks in [false, true] {
        let again = app.send(open("kim", looks)).await;
        assert!(matches!(again, Err(Error::Exists { .. })), "{again:?}");
    }
    let mut heir = open("lee", false);
    heir.name = "name of kim".into();
    app.send(heir).await.expect("the unique value is free");
    let stream = storage.stream("purse/kim", 0, None).await.expect("the stream can be read").found;
    let names: Vec<_> = stream.iter().map(|event| &*event.name).collect();
    assert_eq!(names, ["purse.opened", "purse.added", "purse.added", "purse.closed", "cqrs.deleted"]);
}

/// Also run on PostgreSQL.
pub(crate) async fn begins_anew(storage: Arc<dyn Storage>, stored_as: StoredAs) {
    let app = purses(shared(&storage), stored_as, true).build().expect("the app builds");
    for (round, looks) in [(1, false), (2, true), (3, false)] {
        app.send(open("kim", looks)).await.expect("the purse opens");
        let again = app.send(open("kim", false)).await;
        assert!(matches!(again, Err(Error::Exists { .. })), "a purse that exists is not created again: {again:?}");
        for total in 1..=4 {
            assert_eq!(app.send(Add("kim".into(), 1)).await.expect("the amount is added"), total, "round {round}");
        }
        app.send(emptied("kim")).await.expect("the purse is closed");
        assert_eq!(app.send(Find("kim".into())).await.expect("the database responds"), None);
    }
    let stream = storage.stream("purse/kim", 0, None).await.expect("the stream can be read").found;
    let versions: Vec<_> = stream.iter().map(|event| event.version).collect();
    assert_eq!(versions, (1..=24).collect::<Vec<_>>());
    // Two at once: one creates it, and the other is refused.
    let both = tokio::join!(app.send(open("kim", false)), app.send(open("kim", false)));
    assert_eq!(usize::from(both.0.is_ok()) + usize::from(both.1.is_ok()), 1, "{both:?}");
}

/// Lets others go on between the read of a row and its result.
struct Yielding(Memory);
#[async_trait]
impl StorageLayer for Yielding {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn row(&self, kind: &str, id: &str, response: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        let loaded = self.0.row(kind, id, response).await;
        tokio::task::yield_now().await;
        loaded
    }
}
async fn late_load() {
    let app = purses(Yielding(Memory::new()), StoredAs::State, false).build().expect("the app builds");
    opened(&app, "kim").await;
    assert!(!app.send(CloseAndFind("kim".into())).await.expect("the purse is closed"), "it was found after its end");
}

#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "odd", event = OddEvent)]
struct Odd {
    #[id]
    id: u64,
}
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "cqrs", version = 1)]
enum OddEvent {
    Deleted,
}
impl Evolve<OddEvent> for Odd {
    fn create(id: u64, _: &OddEvent) -> Option<Self> {
        Some(Odd { id })
    }
    fn apply(&mut self, _: &OddEvent) {}
}
async fn reserved() {
    let app = App::builder("odd").aggregate(EventSourced::<Odd>::new()).storage(Memory::new());
    let error = app.build().expect_err("the name is refused");
    let problem = "aggregate `odd` has an event named `cqrs.deleted`, which the framework writes itself";
    assert_eq!(error.problems, [problem]);
}
