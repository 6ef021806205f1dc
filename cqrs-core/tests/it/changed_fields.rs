//! A program whose fields do not fit the stored events, states and views is refused at its start.
use crate::{bank::until, trials::trial};
use async_trait::async_trait;
use cqrs_core::{
    App, BoxError, ErrorKind, Fault, StateStored,
    app::{DRAIN, IncompatibleProgram},
    serde_json::Value,
    storage::{Memory, Storage, StoredProgram},
    testing::StorageLayer,
};
use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("changed fields: memory: a program that cannot read the stored fields is refused", || {
            refused(Memory::new())
        }),
        #[cfg(feature = "sqlite")]
        trial("changed fields: sqlite: a program that cannot read the stored fields is refused", async || {
            let directory = tempfile::tempdir().expect("a temporary directory for the database");
            let storage = cqrs_core::storage::sqlite::Sqlite::open(directory.path().join("s.db")).await;
            refused(storage.expect("a new database opens")).await;
        }),
        trial("changed fields: a program that reads the stored fields under new names and types starts", mended),
        trial(
            "changed fields: seeded: without declared fields a program starts that cannot read its states",
            undeclared,
        ),
    ]
}

/// Writes a program of the notes, with the variants of its event, and the fields of its state and its view.
macro_rules! program {
    (
        $module:ident, version = $version:literal $(upcast $upcast:ident)?, view = $view:literal, $written:expr,
        { $($variants:tt)* }, { $($state:tt)* }, { $($fields:tt)* }
    ) => {
        mod $module {
            use cqrs_core::{
                Aggregate, Change, Command, Event, Evolve, HandlerResult, Recorded, Repo, View, handler, projection,
            };
            use serde::{Deserialize, Serialize};

            #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
            #[aggregate(name = "note", event = NoteEvent)]
            pub(super) struct Note {
                #[id]
                id: String,
                $($state)*
            }
            #[derive(Debug, Clone, Serialize, Deserialize, Event)]
            #[event(name = "note", version = $version $(, upcast(1 = super::$upcast))?)]
            #[allow(dead_code, reason = "not every program stores each of its events")]
            pub(super) enum NoteEvent {
                $($variants)*
            }
            impl Evolve<NoteEvent> for Note {
                fn create(id: String, _: &NoteEvent) -> Option<Self> {
                    Some(Note { id, ..Note::default() })
                }
                fn apply(&mut self, _: &NoteEvent) {}
            }
            #[derive(Debug, Clone, Default, Serialize, Deserialize, View)]
            #[view(name = $view, key = String)]
            pub(super) struct Card {
                events: u32,
                $($fields)*
            }
            #[projection(name = $view)]
            fn card(event: &Recorded<NoteEvent>) -> Change<Card> {
                Change::none().and(event.aggregate_id.clone(), |found| {
                    let mut card: Card = found.unwrap_or_default();
                    card.events += 1;
                    Some(card)
                })
            }
            #[derive(Clone, Serialize, Deserialize, Command)]
            pub(super) struct Write(pub(super) String);
            #[handler]
            async fn write(command: Write, notes: Repo<Note>) -> HandlerResult<()> {
                let event: NoteEvent = ($written)(command.0);
                let id = "1".to_owned();
                match notes.find(&id).await? {
                    None => notes.create(id, event)?,
                    Some(_) => notes.update(&id, |_| event).await?,
                };
                Ok(())
            }
        }
    };
}
program!(
    first, version = 1, view = "note-card", |text| NoteEvent::Written { text },
    { Written { text: String }, Erased },
    { size: u32, },
    { title: String, }
);
// No event was erased, so its form may change.
program!(
    misfit, version = 1, view = "note-card", |text| NoteEvent::Composed { text },
    { #[event(name = "note.written")] Composed { text: String }, Erased { reason: String } },
    { size: String, },
    { title: String, author: String, }
);
program!(
    renamed, version = 1, view = "note-card", |text| NoteEvent::Composed { content: text },
    {
        #[event(name = "note.written")]
        #[serde(rename = "Written")]
        Composed { #[serde(rename = "text")] content: String },
        Erased { reason: String }
    },
    { #[serde(rename = "size")] length: u64, },
    { title: String, #[serde(default)] author: Option<String>, }
);
program!(
    version_2, version = 2 upcast from_1, view = "note-length", |text: String| NoteEvent::Written { length: text.len() },
    { Written { length: usize } , Erased },
    { size: u32, },
    {}
);
/// Writes the length of the text instead of the text.
fn from_1(mut json: Value) -> Result<Value, BoxError> {
    let written = json["Written"].as_object_mut().ok_or("another event")?;
    let text = written.remove("text").ok_or("no text")?;
    written.insert("length".to_owned(), text.as_str().map_or(0, str::len).into());
    Ok(json)
}

macro_rules! app {
    ($module:ident, $storage:expr) => {
        App::builder("notes")
            .discover_part(concat!(module_path!(), "::", stringify!($module)))
            .storage($storage)
            .aggregate(StateStored::<$module::Note>::new())
            .build()
            .expect("the app builds")
    };
}
async fn card(app: &App, view: &str) -> Value {
    let found = app.storage().views(view, &["1".to_owned()]).await.expect("the storage responds");
    let value = found.into_iter().next().and_then(|view| view.value).unwrap_or_else(|| b"null".to_vec());
    cqrs_core::serde_json::from_slice(&value).expect("it is JSON")
}
/// Runs the first program until it has stored an event, a state and a value of the view.
async fn store(storage: impl Storage) {
    let app = app!(first, storage);
    let running = app.start().await.expect("the first program starts");
    app.send(first::Write("hello".into())).await.expect("the note is written");
    until("the view is there", async || card(&app, "note-card").await["events"] == 1).await;
    assert!(running.stop(DRAIN).await);
}

/// Deploys a program whose fields do not fit, and the first program again.
pub(crate) async fn refused(storage: impl Storage + Clone) {
    store(storage.clone()).await;
    let before = storage.programs(0).await.expect("the storage responds");
    let misfit = app!(misfit, storage.clone());
    let refused = misfit.start().await.expect_err("the program does not fit");
    let source = std::error::Error::source(&refused).and_then(|source| source.downcast_ref::<IncompatibleProgram>());
    let problems = &source.unwrap_or_else(|| panic!("another error: {refused:?}")).problems;
    assert_eq!(
        *problems,
        [
            "the stored events `note.written` have serde's variant `Written`, which this program does not read: keep the \
             variant, or write `#[serde(rename = \"Written\")]` on the one that it has become; or raise the `version` of \
             the events and write an upcaster",
            "the stored states of aggregate `note` have field `size` as `u32`, and this program reads `String`: keep the \
             former one, and add another field; or write `#[stored(accepts(u32))]` on it, if it reads all stored values",
            "the stored values of view `note-card` may lack field `author`, which this program requires: write \
             `#[serde(default)]` on it, or make it an `Option`; if it was renamed, write `#[serde(rename = \"...\")]` with \
             its former name; or give the view and its projection new names, so that they fill beside the old ones",
        ]
    );
    assert_eq!(storage.programs(0).await.expect("the storage responds"), before, "nothing is declared");
    let first = app!(first, storage);
    let running = first.start().await.expect("the first program starts again");
    first.send(first::Write("again".into())).await.expect("the note is read");
    assert!(running.stop(DRAIN).await);
}

async fn mended() {
    let storage = Memory::new();
    store(storage.clone()).await;
    let renamed = app!(renamed, storage.clone());
    let running = renamed.start().await.expect("the renamed fields fit");
    renamed.send(renamed::Write("again".into())).await.expect("the note is read");
    until("the value of the view is read", async || card(&renamed, "note-card").await["events"] == 2).await;
    assert!(running.stop(DRAIN).await);
    let version_2 = app!(version_2, storage.clone());
    let running = version_2.start().await.expect("the upcaster reads the former fields");
    until("both events are read", async || card(&version_2, "note-length").await["events"] == 2).await;
    assert!(running.stop(DRAIN).await);
    // A rollback is always accepted.
    let first = app!(first, storage);
    let running = first.start().await.expect("the first program starts again");
    first.send(first::Write("last".into())).await.expect("the note is read");
    until("the value of the view is read", async || card(&first, "note-card").await["events"] == 3).await;
    assert!(running.stop(DRAIN).await);
}

/// A storage whose programs have declared no fields, as programs did before they were declared.
#[derive(Clone)]
struct Undeclared(Memory);
#[async_trait]
impl StorageLayer for Undeclared {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn programs(&self, after: u64) -> Result<Vec<StoredProgram>, Fault> {
        let mut programs = self.0.programs(after).await?;
        for program in &mut programs {
            let mut json: Value = cqrs_core::serde_json::from_str(&program.declaration)?;
            json.as_object_mut().and_then(|json| json.remove("stored_forms")).expect("the fields are declared");
            program.declaration = json.to_string();
        }
        Ok(programs)
    }
}

async fn undeclared() {
    let storage = Undeclared(Memory::new());
    store(storage.clone()).await;
    let misfit = app!(misfit, storage);
    let running = misfit.start().await.expect("nothing is compared");
    let error = misfit.send(misfit::Write("again".into())).await.expect_err("the state cannot be read");
    assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
    assert!(running.stop(DRAIN).await);
}
