//! Rows of state-stored aggregates are rebuilt from their events, beside running commands.
use crate::{
    listener::lock,
    purse::{Add, Entries, Find, StoredAs, emptied, on_each, open, opened, purses, shared},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, Error, Fault, HistoryEntry, Metadata,
    app::{RowRebuild, RowRebuildError},
    event::{Entry, NewEntry},
    storage::{Batch, Loaded, Memory, ReadLimit, Row, Storage, StoredRow},
    testing::StorageLayer,
};
use libtest_mimic::Trial;
use std::sync::{Arc, Mutex};

const STATE: &[StoredAs] = &[StoredAs::State];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials =
        on_each("rebuild rows: a row that differs, is unreadable or absent is made from its events", STATE, rebuilt);
    trials.extend(on_each("rebuild rows: an aggregate whose events cannot be read is reported", STATE, unreadable));
    trials.extend(on_each("rebuild rows: a value that another aggregate holds is reported", STATE, held_value));
    trials.push(trial("rebuild rows: a command that has read the former row decides again", raced));
    #[cfg(feature = "operations")]
    trials.push(trial("rebuild rows: the subcommand counts rows, and fails when one cannot be rebuilt", by_command));
    trials.push(trial("rebuild rows: other aggregates than state-stored ones are refused", refused));
    trials
}

/// Replaces the row of an aggregate, as a bug or an operator could.
async fn damage(storage: &dyn Storage, id: &str, state: &[u8]) {
    let version = storage.row("purse", id, None).await.expect("the row can be read").found.version;
    let row = Row { kind: "purse", id: id.into(), expected: version, version, state: Some(state.to_vec()) };
    storage.commit(Batch { rows: vec![row], ..Batch::default() }).await.expect("the row is replaced");
}
async fn rebuild(app: &App, dry_run: bool) -> (u64, u64, u64) {
    let mut options = RowRebuild::default();
    options.dry_run = dry_run;
    let done = app.rebuild_rows("purse", &options, &Metadata::default().caller("operator")).await;
    let done = done.expect("the rows can be read");
    (done.checked, done.changed, done.failed)
}

/// Also run on PostgreSQL.
pub(crate) async fn rebuilt(storage: Arc<dyn Storage>, stored_as: StoredAs) {
    let app = purses(shared(&storage), stored_as, false).build().expect("the app builds");
    for id in ["ann", "bob", "kim", "lee"] {
        opened(&app, id).await;
        app.send(Add(id.into(), 5)).await.expect("the amount is added");
    }
    app.send(emptied("ann")).await.expect("the purse is closed");
    assert_eq!(rebuild(&app, false).await, (4, 0, 0), "nothing differs, a deleted one included");
    damage(&*storage, "bob", br#"{"id":"bob","name":"other","total":5}"#).await;
    damage(&*storage, "kim", b"not json").await;
    app.send(Find("kim".into())).await.expect_err("the row cannot be read");
    assert_eq!(rebuild(&app, true).await, (4, 2, 0));
    app.send(Find("kim".into())).await.expect_err("a dry run changes nothing");
    assert_eq!(rebuild(&app, false).await, (4, 2, 0));
    assert_eq!(app.send(Find("kim".into())).await.expect("it is found"), Some(("name of kim".into(), 5)));
    assert_eq!(app.send(Find("bob".into())).await.expect("it is found"), Some(("name of bob".into(), 5)));
    assert_eq!(rebuild(&app, false).await, (4, 0, 0), "a second run finds nothing");
    let mut taken = open("new", false);
    taken.name = "name of bob".into();
    let taken = app.send(taken).await;
    assert!(matches!(taken, Err(Error::Taken { .. })), "{taken:?}");
    assert_eq!(app.send(Add("kim".into(), 1)).await.expect("commands go on"), 6);
    let entries = app.send(Entries("kim".into(), 2, 9)).await.expect("the history can be read");
    let [HistoryEntry::RowRebuilt(mark), HistoryEntry::Event(_)] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!(mark.metadata.caller.as_deref(), Some("operator"));
    let mut options = RowRebuild::default();
    options.after = Some("bob".into());
    let rest = app.rebuild_rows("purse", &options, &Metadata::default()).await.expect("the rows can be read");
    assert_eq!((rest.checked, rest.last.as_deref()), (2, Some("lee")));
}

async fn first_entry(storage: &dyn Storage, stream: &str) -> Entry {
    storage.stream_page(stream, 0, ReadLimit::entries(1)).await.expect("the stream can be read").remove(0)
}

/// Also run on PostgreSQL.
pub(crate) async fn unreadable(storage: Arc<dyn Storage>, stored_as: StoredAs) {
    let app = purses(shared(&storage), stored_as, false).build().expect("the app builds");
    for id in ["kim", "lee"] {
        opened(&app, id).await;
    }
    damage(&*storage, "lee", b"{}").await;
    let row = storage.row("purse", "kim", None).await.expect("the row can be read").found;
    let mut entry = first_entry(&*storage, "purse/kim").await;
    entry.metadata = Metadata::default();
    let broken = NewEntry {
        stream: entry.stream,
        version: 2,
        id: cqrs_core::uuid::Uuid::now_v7(),
        name: "purse.added",
        schema: 1,
        payload: b"\"secret\"".to_vec(),
        metadata: entry.metadata,
        occurred_at: entry.occurred_at,
        outgoing: None,
    };
    let row = Row { kind: "purse", id: "kim".into(), expected: 1, version: 2, state: row.state };
    let batch = Batch { rows: vec![row], events: vec![broken], ..Batch::default() };
    storage.commit(batch).await.expect("the event is stored");
    let done = app.rebuild_rows("purse", &RowRebuild::default(), &Metadata::default()).await;
    let done = done.expect("the others are rebuilt");
    assert_eq!((done.checked, done.changed, done.failed), (2, 1, 1));
    assert_eq!(done.failures[0].stream, "purse/kim");
    let reason = &done.failures[0].reason;
    assert!(reason.contains("purse/kim 2 cannot be read") && !reason.contains("secret"), "{reason}");
}

async fn held_value(storage: Arc<dyn Storage>, stored_as: StoredAs) {
    let app = purses(shared(&storage), stored_as, false).build().expect("the app builds");
    opened(&app, "kim").await;
    let first = first_entry(&*storage, "purse/kim").await;
    // Another purse of the same name, without a row and a reservation.
    let event = NewEntry {
        stream: "purse/mia".into(),
        version: 1,
        id: cqrs_core::uuid::Uuid::now_v7(),
        name: "purse.opened",
        schema: 1,
        payload: first.payload,
        metadata: Metadata::default(),
        occurred_at: first.occurred_at,
        outgoing: None,
    };
    storage.commit(Batch { events: vec![event], ..Batch::default() }).await.expect("the event is stored");
    let done = app.rebuild_rows("purse", &RowRebuild::default(), &Metadata::default()).await;
    let done = done.expect("the rows can be read");
    assert_eq!((done.checked, done.changed, done.failed), (2, 0, 1));
    assert_eq!(done.failures[0].stream, "purse/mia");
    assert!(done.failures[0].reason.ends_with("`name` (held by purse/kim)"), "{}", done.failures[0].reason);
    assert_eq!(app.send(Find("mia".into())).await.expect("the row is there"), Some(("name of kim".into(), 0)));
}

/// Sends a command that has read the row, between the read of the row by the rebuild and its write.
struct Slow {
    memory: Memory,
    /// The batch of a command that is committed late.
    held: Mutex<Option<Batch>>,
    holds: std::sync::atomic::AtomicBool,
}
struct Raced(Arc<Slow>);
#[async_trait]
impl StorageLayer for Raced {
    fn inner(&self) -> &dyn Storage {
        &self.0.memory
    }
    async fn row(&self, kind: &str, id: &str, response: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        self.0.memory.row(kind, id, response).await
    }
    async fn commit(&self, batch: Batch) -> Result<cqrs_core::Position, cqrs_core::storage::CommitError> {
        if self.0.holds.swap(false, std::sync::atomic::Ordering::SeqCst) {
            *lock(&self.0.held) = Some(batch);
            return Err(Fault::outcome_unknown("held by the test").into());
        }
        self.0.memory.commit(batch).await
    }
}
async fn raced() {
    let slow = Arc::new(Slow { memory: Memory::new(), held: Mutex::default(), holds: false.into() });
    let app = purses(Raced(slow.clone()), StoredAs::State, false).build().expect("the app builds");
    opened(&app, "kim").await;
    app.send(Add("kim".into(), 5)).await.expect("the amount is added");
    damage(&slow.memory, "kim", br#"{"id":"kim","name":"name of kim","total":500}"#).await;
    slow.holds.store(true, std::sync::atomic::Ordering::SeqCst);
    app.send(Add("kim".into(), 1)).await.expect_err("the commit of the command is held");
    assert_eq!(rebuild(&app, false).await, (1, 1, 0));
    let held = lock(&slow.held).take().expect("a command was decided on the former row");
    let late = slow.memory.commit(held).await;
    assert!(matches!(late, Err(cqrs_core::storage::CommitError::Conflict { .. })), "{late:?}");
    assert_eq!(app.send(Add("kim".into(), 1)).await.expect("the amount is added"), 6);
}

async fn refused() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let app = purses(shared(&storage), StoredAs::Events, false).build().expect("the app builds");
    let unknown = app.rebuild_rows("purses", &RowRebuild::default(), &Metadata::default()).await.unwrap_err();
    assert_eq!(unknown.to_string(), "the service has no aggregate `purses`; its aggregates are `purse`");
    let event_sourced = app.rebuild_rows("purse", &RowRebuild::default(), &Metadata::default()).await;
    assert!(matches!(event_sourced, Err(RowRebuildError::NotStateStored(_))), "{event_sourced:?}");
    let rows = purses(shared(&storage), StoredAs::State, false).build().expect("the app builds");
    let own = async || rows.rebuild_rows("purse", &RowRebuild::default(), &Metadata::default()).await;
    own().await.expect("no program has started");
    app.migrate().await.expect("the program is declared");
    let other = own().await;
    assert!(matches!(other, Err(RowRebuildError::NotNewest)), "{other:?}");
}

#[cfg(feature = "operations")]
async fn by_command() {
    use cqrs_core::{operations::AggregatesCommand, serde_json::json};
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let app = purses(shared(&storage), StoredAs::State, false).build().expect("the app builds");
    opened(&app, "kim").await;
    damage(&*storage, "kim", b"{}").await;
    let run = async |dry_run| {
        let (aggregate, by) = ("purse".to_owned(), "kim".to_owned());
        let command = AggregatesCommand::RebuildRows { aggregate, dry_run, after: None, by };
        command.run(&app).await.expect("the rows can be read")
    };
    let expected =
        |changed: &str, count| json!({ "checked": 1, changed: count, "failed": 0, "failures": [], "last": "kim" });
    assert_eq!(run(true).await, (expected("would_change", 1), true));
    assert_eq!(run(false).await, (expected("changed", 1), true));
    assert_eq!(run(false).await, (expected("changed", 0), true));
    let archive = AggregatesCommand::Archive { older_than_days: 1 }.run(&app).await.expect("the log can be read");
    assert_eq!(archive, (json!({ "archived": 0, "position": 2, "finished": true }), true));
}
