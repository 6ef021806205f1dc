//! The id of an aggregate: it is given beside the first event, and its text is read back.
use crate::bank::on_each;
use cqrs_core::{
    Aggregate, App, AppBuilder, Command, ErrorKind, Event, EventSourced, Evolve, HandlerResult, Position, Repo,
    StateStored, handler,
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::{convert::Infallible, fmt, str::FromStr};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = on_each("ids: an aggregate that is created with another id than its own is refused", other_id);
    trials.extend(on_each("ids: an id whose text does not parse to the same id is refused", unreadable_id));
    trials
}
/// Returns the stream, version and name of each entry in the log.
async fn log(app: &App) -> Vec<String> {
    let storage = app.storage();
    let upto = storage.high_water_mark().await.expect("the storage responds");
    let entries = storage
        .log(Position(0), upto, cqrs_core::storage::ReadLimit::entries(100))
        .await
        .expect("the storage responds");
    entries.iter().map(|entry| format!("{} {} {}", entry.stream, entry.version, entry.name)).collect()
}

/// A room that takes its id from its event, and not the one beside it.
#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "room", event = Built)]
struct Room {
    #[id]
    number: u32,
}
#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "room.built", version = 1)]
struct Built(u32);
impl Evolve<Built> for Room {
    fn create(_: u32, event: &Built) -> Option<Self> {
        Some(Room { number: event.0 })
    }
    fn apply(&mut self, _: &Built) {}
}
#[derive(Clone, Serialize, Deserialize, Command)]
struct Build(u32, u32);
#[handler]
async fn build(Build(id, number): Build, rooms: Repo<Room>) -> HandlerResult<()> {
    rooms.create(id, Built(number))?;
    Ok(())
}

/// A word that loses its capitals when it is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Word(String);
impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_lowercase())
    }
}
impl FromStr for Word {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Word(text.to_owned()))
    }
}
#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "topic", event = Raised)]
struct Topic {
    #[id]
    word: Word,
}
#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "topic.raised", version = 1)]
struct Raised;
impl Evolve<Raised> for Topic {
    fn create(word: Word, _: &Raised) -> Option<Self> {
        Some(Topic { word })
    }
    fn apply(&mut self, _: &Raised) {}
}
#[derive(Clone, Serialize, Deserialize, Command)]
struct Raise(Word);
#[handler]
async fn raise(command: Raise, topics: Repo<Topic>) -> HandlerResult<()> {
    topics.create(command.0, Raised)?;
    Ok(())
}

fn built(app: AppBuilder) -> App {
    let app = app.aggregate(StateStored::<Room>::new());
    let app = app.aggregate(EventSourced::<Topic>::new()).discover_part(module_path!());
    app.build().expect("the app builds")
}
async fn other_id(app: AppBuilder) {
    let app = built(app);
    let error = app.send(Build(1, 2)).await.expect_err("the id of the room is 2");
    assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::Internal, "room 1 was created with the id 2"));
    assert!(log(&app).await.is_empty());
    app.send(Build(2, 2)).await.expect("the id of the room is 2");
    assert_eq!(log(&app).await, ["room/2 1 room.built"]);
}
async fn unreadable_id(app: AppBuilder) {
    let app = built(app);
    let error = app.send(Raise(Word("Kim".into()))).await.expect_err("the capital would be lost");
    let expected = "the id kim of topic does not parse to the same id again";
    assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::Internal, expected));
    assert!(log(&app).await.is_empty());
    app.send(Raise(Word("kim".into()))).await.expect("the id has no capitals");
    assert_eq!(log(&app).await, ["topic/kim 1 topic.raised"]);
}
