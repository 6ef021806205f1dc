//! An aggregate with an end and a history, for the tests of event sourcing.
use crate::trials::trial;
use async_trait::async_trait;
use cqrs_core::event::StreamEvent;
use cqrs_core::{
    Aggregate, App, AppBuilder, ByteBudget, Command, DomainError, Event, EventSourced, Evolve, Fault, HandlerResult,
    History, HistoryEntry, Query, Repo, StateStored, Timestamp, handler,
    storage::{Loaded, Memory, SnapshotAndEvents, Storage},
    testing::StorageLayer,
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, atomic::AtomicUsize, atomic::Ordering::SeqCst};

pub(crate) const PURSE: &str = module_path!();

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "purse", event = PurseEvent)]
pub(crate) struct Purse {
    #[id]
    pub(crate) id: String,
    #[unique]
    pub(crate) name: String,
    pub(crate) total: i64,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "purse", version = 1)]
pub(crate) enum PurseEvent {
    Opened { name: String },
    Added { amount: i64 },
    Closed,
}
impl Evolve<PurseEvent> for Purse {
    fn create(id: String, event: &PurseEvent) -> Option<Self> {
        match event {
            PurseEvent::Opened { name } => Some(Purse { id, name: name.clone(), total: 0 }),
            _ => None,
        }
    }
    fn apply(&mut self, event: &PurseEvent) {
        if let PurseEvent::Added { amount } = event {
            self.total += amount;
        }
    }
}
#[derive(Debug, Clone, PartialEq, thiserror::Error, DomainError)]
pub(crate) enum PurseError {
    #[error("the purse is not empty")]
    #[kind(precondition)]
    NotEmpty,
}

#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub(crate) struct OpenPurse {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Looks for the purse first.
    pub(crate) looks: bool,
}
#[handler]
async fn open_purse(command: OpenPurse, purses: Repo<Purse>) -> HandlerResult<(), PurseError> {
    if command.looks {
        assert_eq!(purses.find(&command.id).await?, None);
    }
    purses.create(command.id, PurseEvent::Opened { name: command.name })?;
    Ok(())
}
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub(crate) struct Add(pub(crate) String, pub(crate) i64);
#[handler]
async fn add(Add(id, amount): Add, purses: Repo<Purse>) -> HandlerResult<i64, PurseError> {
    Ok(purses.update(&id, |_| Ok(PurseEvent::Added { amount })).await?.total)
}
/// Closes an empty purse. One with another total is emptied first if `empties` is set.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub(crate) struct Close {
    pub(crate) id: String,
    pub(crate) empties: bool,
}
#[handler]
async fn close(Close { id, empties }: Close, purses: Repo<Purse>) -> HandlerResult<i64, PurseError> {
    let last = purses
        .delete(&id, |purse| match (purse.total, empties) {
            (0, _) => Ok(vec![PurseEvent::Closed]),
            (total, true) => Ok(vec![PurseEvent::Added { amount: -total }, PurseEvent::Closed]),
            (_, false) => Err(PurseError::NotEmpty),
        })
        .await?;
    assert_eq!(purses.find(&id).await?, None, "within the unit of work");
    Ok(last.total)
}
/// Decides to close without an event.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub(crate) struct CloseNothing(pub(crate) String);
#[handler]
async fn close_nothing(CloseNothing(id): CloseNothing, purses: Repo<Purse>) -> HandlerResult<bool, PurseError> {
    purses.delete(&id, |_| Ok::<_, PurseError>(None::<PurseEvent>)).await?;
    Ok(purses.find(&id).await?.is_some())
}
/// Closes a purse and looks for it at the same time. Returns whether it was found.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub(crate) struct CloseAndFind(pub(crate) String);
#[handler]
async fn close_and_find(CloseAndFind(id): CloseAndFind, purses: Repo<Purse>) -> HandlerResult<bool, PurseError> {
    let close = purses.delete(&id, |_| Ok::<_, PurseError>(PurseEvent::Closed));
    // The first is always polled first.
    let (closed, found) = futures_util::future::join(close, purses.find(&id)).await;
    closed?;
    Ok(found?.is_some())
}
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub(crate) struct Find(pub(crate) String);
#[handler]
async fn find(Find(id): Find, purses: Repo<Purse>) -> HandlerResult<Option<(String, i64)>, PurseError> {
    Ok(purses.find(&id).await?.map(|purse| (purse.name, purse.total)))
}

#[derive(Debug, Clone, Query)]
pub(crate) struct AtVersion(pub(crate) String, pub(crate) u64);
#[handler]
async fn at_version(AtVersion(id, version): AtVersion, purses: History<Purse>) -> HandlerResult<Option<i64>> {
    Ok(purses.at_version(&id, version).await?.map(|purse| purse.total))
}
#[derive(Debug, Clone, Query)]
pub(crate) struct AsOf(pub(crate) String, pub(crate) Timestamp);
#[handler]
async fn as_of(AsOf(id, time): AsOf, purses: History<Purse>) -> HandlerResult<Option<i64>> {
    Ok(purses.as_of(&id, time).await?.map(|purse| purse.total))
}
#[derive(Debug, Clone, Query)]
pub(crate) struct Entries(pub(crate) String, pub(crate) u64, pub(crate) usize);
#[handler]
async fn entries(query: Entries, purses: History<Purse>) -> HandlerResult<Vec<HistoryEntry<PurseEvent>>> {
    Ok(purses.events(&query.0, query.1, query.2).await?)
}

/// The persistences that a purse can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoredAs {
    /// State-stored.
    State,
    Events,
    Snapshots(u32),
}
/// A storage that counts the events which loads return.
#[derive(Clone)]
pub(crate) struct Counting(pub(crate) Arc<dyn Storage>, pub(crate) Arc<AtomicUsize>);
#[async_trait]
impl StorageLayer for Counting {
    fn inner(&self) -> &dyn Storage {
        &*self.0
    }
    async fn stream(
        &self,
        stream: &str,
        after: u64,
        response: Option<&str>,
    ) -> Result<Loaded<Vec<StreamEvent>>, Fault> {
        let loaded = self.0.stream(stream, after, response).await?;
        self.1.fetch_add(loaded.found.len(), SeqCst);
        Ok(loaded)
    }
    async fn snapshot(
        &self,
        kind: &str,
        id: &str,
        form: i64,
        response: Option<&str>,
    ) -> Result<Loaded<SnapshotAndEvents>, Fault> {
        let loaded = self.0.snapshot(kind, id, form, response).await?;
        self.1.fetch_add(loaded.found.events.len(), SeqCst);
        Ok(loaded)
    }
}
/// Returns a handle on a storage, and the count of the events that its loads return.
pub(crate) fn counting(storage: &Arc<dyn Storage>) -> (Counting, Arc<AtomicUsize>) {
    let events = Arc::<AtomicUsize>::default();
    (Counting(storage.clone(), events.clone()), events)
}
pub(crate) fn shared(storage: &Arc<dyn Storage>) -> Counting {
    counting(storage).0
}

/// Returns the budget of an app that keeps no states, so that each load begins with a snapshot or with the first event.
pub(crate) fn no_states() -> ByteBudget {
    let mut budget = ByteBudget::default();
    budget.states = 0;
    budget
}

/// Builds the purses on a storage.
pub(crate) fn purses(storage: impl Storage, stored_as: StoredAs, reuses_ids: bool) -> AppBuilder {
    let app = App::builder("purses").discover_part(PURSE).storage(storage);
    match (stored_as, reuses_ids) {
        (StoredAs::State, false) => app.aggregate(StateStored::<Purse>::new()),
        (StoredAs::State, true) => app.aggregate(StateStored::<Purse>::new().reuses_ids()),
        (StoredAs::Events, false) => app.aggregate(EventSourced::<Purse>::new()),
        (StoredAs::Events, true) => app.aggregate(EventSourced::<Purse>::new().reuses_ids()),
        (StoredAs::Snapshots(every), false) => app.aggregate(EventSourced::<Purse>::new().snapshot_every(every)),
        (StoredAs::Snapshots(every), true) => {
            app.aggregate(EventSourced::<Purse>::new().snapshot_every(every).reuses_ids())
        }
    }
}
pub(crate) async fn opened(app: &App, id: &str) {
    app.send(open(id, false)).await.expect("the purse opens");
}
pub(crate) fn open(id: &str, looks: bool) -> OpenPurse {
    OpenPurse { id: id.into(), name: format!("name of {id}"), looks }
}
pub(crate) fn emptied(id: &str) -> Close {
    Close { id: id.into(), empties: true }
}

/// Lists the same test for each persistence, on memory and on SQLite if the feature is on.
pub(crate) fn on_each<F: Future<Output = ()> + 'static>(
    name: &str,
    kinds: &'static [StoredAs],
    test: fn(Arc<dyn Storage>, StoredAs) -> F,
) -> Vec<Trial> {
    let mut trials = Vec::new();
    for stored_as in kinds.iter().copied() {
        trials.push(trial(format!("{name}: memory: {stored_as:?}"), move || test(Arc::new(Memory::new()), stored_as)));
        #[cfg(feature = "sqlite")]
        trials.push(trial(format!("{name}: sqlite: {stored_as:?}"), move || async move {
            let directory = tempfile::tempdir().expect("a temporary directory for the database");
            let storage = cqrs_core::storage::sqlite::Sqlite::open(directory.path().join("purses.db")).await;
            let storage = storage.expect("a new database opens");
            storage.migrate().await.expect("the schema can be created");
            test(Arc::new(storage), stored_as).await;
        }));
    }
    trials
}
