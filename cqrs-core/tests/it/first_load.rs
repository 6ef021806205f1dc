//! A command step by step: the stored response of its key, the time of its events, and fields of a newer program.
use crate::{
    bank::{Pay, bank, opened},
    listener::lock,
    trials::trial,
};
use async_trait::async_trait;
use chrono::TimeDelta;
use cqrs_core::{
    Aggregate, App, Command, ErrorKind, Event, Evolve, Fault, HandlerResult, Metadata, Position, Repo, StateStored,
    Timestamp,
    environment::Environment,
    event::NewEntry,
    handler,
    storage::{Batch, CommitError, Memory, ReadLimit, Row, Storage, StoredResponse},
    testing::{EnvironmentLayer, StorageLayer},
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("first load: a repeated command finds its response with its first load, and commits nothing", repeated),
        trial("first load: an event has the time of its commit, in whole microseconds", time),
        trial("first load: a program drops fields that it does not know only while it is the newest one", newest),
    ]
}

/// Records the calls that a command makes besides the load of its aggregate.
#[derive(Clone, Default)]
struct Observed {
    memory: Memory,
    calls: Arc<Mutex<Vec<&'static str>>>,
}
#[async_trait]
impl StorageLayer for Observed {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn response(&self, key: &str) -> Result<Option<StoredResponse>, Fault> {
        lock(&self.calls).push("response");
        self.memory.response(key).await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        lock(&self.calls).push("commit");
        self.memory.commit(batch).await
    }
}

async fn repeated() {
    let storage = Observed::default();
    let app = bank(storage.clone()).build().expect("the app builds");
    opened(&app, "kim").await;
    lock(&storage.calls).clear();
    let pay = async || {
        let pay = Pay { id: "kim".into(), amount: 5 };
        app.with(Metadata::default().key("once").caller("teller")).send(pay).await.expect("the payment succeeds")
    };
    assert_eq!(pay().await, 5);
    assert_eq!(*lock(&storage.calls), ["commit"]);
    assert_eq!(pay().await, 5);
    assert_eq!(*lock(&storage.calls), ["commit"], "the repetition reads the aggregate with the response, and no more");
}

/// A time of day with a part of a microsecond.
struct Precise;
impl EnvironmentLayer for Precise {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::nanoseconds(1_234_567_891)
    }
}
async fn time() {
    let (memory, precise): (_, Arc<dyn Environment>) = (Memory::new(), Arc::new(Precise));
    let app = bank(memory.clone()).environment(precise).build().expect("the app builds");
    opened(&app, "kim").await;
    let log = memory.log(Position(0), Position(1), ReadLimit::entries(1)).await.expect("the memory answers");
    assert_eq!(log[0].occurred_at, Timestamp::UNIX_EPOCH + TimeDelta::microseconds(1_234_567));
}

mod lists {
    use super::{Aggregate, Command, Deserialize, Event, Evolve, HandlerResult, Repo, Serialize, handler};
    #[derive(Debug, Clone, Serialize, Deserialize)]
    struct Line {
        count: u32,
    }
    #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "list", event = ListEvent)]
    pub(super) struct List {
        #[id]
        id: String,
        lines: Vec<Line>,
    }
    #[derive(Debug, Clone, Serialize, Deserialize, Event)]
    #[event(name = "list", version = 1)]
    pub(super) enum ListEvent {
        Counted,
    }
    impl Evolve<ListEvent> for List {
        fn create(id: String, _: &ListEvent) -> Option<Self> {
            Some(List { id, lines: vec![Line { count: 1 }] })
        }
        fn apply(&mut self, _: &ListEvent) {
            self.lines.iter_mut().for_each(|line| line.count += 1);
        }
    }
    #[derive(Clone, Serialize, Deserialize, Command)]
    pub(super) struct Count;
    #[handler]
    async fn count(_: Count, lists: Repo<List>) -> HandlerResult<()> {
        lists.update(&"1".to_owned(), |_| ListEvent::Counted).await?;
        Ok(())
    }
}

/// The lines of a stored list have a field that this program does not know, and would lose.
async fn newest() {
    let memory = Memory::new();
    let app = App::builder("lists").discover_part(concat!(module_path!(), "::lists")).storage(memory.clone());
    let app = app.aggregate(StateStored::<lists::List>::new()).build().expect("the app builds");
    let state = Some(br#"{"id":"1","lines":[{"count":1,"price":5}]}"#.to_vec());
    let event = NewEntry {
        stream: "list/1".into(),
        version: 1,
        id: Uuid::from_u128(1),
        name: "list.counted",
        schema: 1,
        payload: b"\"Counted\"".to_vec(),
        metadata: Metadata::NONE,
        occurred_at: Timestamp::UNIX_EPOCH,
        outgoing: None,
    };
    let rows = vec![Row { kind: "list", id: "1".into(), expected: 0, version: 1, state }];
    memory.commit(Batch { events: vec![event], rows, ..Batch::default() }).await.expect("the list is stored");
    let refused = app.send(lists::Count).await.expect_err("it is not known whether this program is the newest one");
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    app.migrate().await.expect("the program is declared");
    app.send(lists::Count).await.expect("no program knows the field");
    let state = memory.row("list", "1", None).await.expect("the memory answers").found.state.expect("the list");
    assert_eq!(String::from_utf8_lossy(&state), r#"{"id":"1","lines":[{"count":2}]}"#);
}
