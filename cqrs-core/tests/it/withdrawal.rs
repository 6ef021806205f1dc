//! A program that was rolled back and does not come back is withdrawn: the messages that were left to it are released.
use crate::{bank::until, breaker::Fast, trials::trial};
use async_trait::async_trait;
use cqrs_core::{
    App, Fault, Position, StateStored,
    app::{LeftMessages, WithdrawalError},
    environment::Environment,
    event::Entry,
    job::Step,
    storage::{LEFT_TO_NEWER_PROGRAM, Memory, ReadLimit, Storage, StoredProgram},
    testing::StorageLayer,
};
use libtest_mimic::Trial;
use std::{sync::Arc, time::Duration};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("withdrawal: the messages of a withdrawn program are released to the program that runs: memory", || {
            let memory = Memory::new();
            scenario([memory.clone(), memory.clone(), memory])
        }),
        #[cfg(feature = "sqlite")]
        trial(
            "withdrawal: the messages of a withdrawn program are released to the program that runs: sqlite",
            || async {
                let directory = tempfile::tempdir().expect("a temporary directory for the database");
                let storage = cqrs_core::storage::Sqlite::open(directory.path().join("tickets.db")).await;
                let storage = storage.expect("a new database opens");
                scenario([storage.clone(), storage.clone(), storage]).await;
            },
        ),
        trial("withdrawal: a program whose events a reader has not reached is not withdrawn", unread),
        trial("withdrawal: a program that is withdrawn while it runs declares itself anew", runs),
        trial("withdrawal: seeded: without the withdrawals in the catalogue messages are left for ever", lost),
        trial("withdrawal: seeded: without a look at the log an event of the withdrawn program is passed", unseen),
    ]
}

/// Writes a program of the tickets. The newer one has an event and a field more.
macro_rules! program {
    ($module:ident, { $($event:ident)* }, { $($field:ident)* }) => {
        mod $module {
            use cqrs_core::{
                Aggregate, Change, Command, Event, Evolve, HandlerResult, Recorded, Repo, View, handler, projection,
            };
            use serde::{Deserialize, Serialize};

            #[derive(Clone, Serialize, Deserialize, Aggregate)]
            #[aggregate(name = "ticket", event = TicketEvent)]
            pub(super) struct Ticket {
                #[id]
                id: String,
            }
            #[derive(Clone, Serialize, Deserialize, Event)]
            #[event(name = "ticket", version = 1)]
            pub(super) enum TicketEvent {
                Opened,
                Noted(String),
                Marked,
                $($event,)*
            }
            impl Evolve<TicketEvent> for Ticket {
                fn create(id: String, _: &TicketEvent) -> Option<Self> {
                    Some(Ticket { id })
                }
                fn apply(&mut self, _: &TicketEvent) {}
            }
            #[derive(Clone, Serialize, Deserialize)]
            pub(super) struct Line {
                text: String,
                $(#[serde(default)] $field: u32,)*
            }
            fn line(text: &str) -> Line {
                Line { text: text.to_owned(), $($field: 7,)* }
            }
            #[derive(Clone, Default, Serialize, Deserialize, View)]
            #[view(name = "history", key = String)]
            pub(super) struct History {
                lines: Vec<Line>,
            }
            #[projection(name = "history")]
            fn history(event: &Recorded<TicketEvent>) -> Change<History> {
                let event_of_history = event.event.clone();
                Change::none().and(event.aggregate_id.clone(), move |found: Option<History>| {
                    let mut history = found.unwrap_or_default();
                    match &event_of_history {
                        TicketEvent::Opened => history.lines.push(line("opened")),
                        TicketEvent::Noted(text) => history.lines.push(line(text)),
                        TicketEvent::Marked => history.lines.iter_mut().for_each(|line| line.text.push('!')),
                        $(TicketEvent::$event => history.lines.push(line("closed")),)*
                    }
                    Some(history)
                })
            }
            #[derive(Clone, Serialize, Deserialize, Command)]
            pub(super) struct Append(pub(super) String, pub(super) TicketEvent);
            #[handler]
            async fn append(command: Append, tickets: Repo<Ticket>) -> HandlerResult<()> {
                let Append(id, event) = command;
                if tickets.find(&id).await?.is_none() {
                    tickets.create(id.clone(), TicketEvent::Opened)?;
                }
                tickets.update(&id, |_| event).await?;
                Ok(())
            }
        }
    };
}
program!(old, {}, {});
program!(new, { Closed }, { price });

macro_rules! tickets {
    ($module:ident, $storage:expr) => {
        App::builder("tickets")
            .storage($storage)
            .environment(Arc::new(Fast::new()))
            .discover_part(concat!(module_path!(), "::", stringify!($module)))
            .aggregate(StateStored::<$module::Ticket>::new())
            .build()
            .expect("the app builds")
    };
}

async fn note(app: &App, id: &str, text: &str) {
    app.send(old::Append(id.into(), old::TicketEvent::Noted(text.into()))).await.expect("the note is appended");
}
async fn close(app: &App, id: &str) {
    app.send(new::Append(id.into(), new::TicketEvent::Closed)).await.expect("the ticket is closed");
}
async fn history(app: &App, id: &str) -> String {
    let found = app.storage().views("history", &[id.to_owned()]).await.expect("the database responds");
    let Some(value) = found.into_iter().next().and_then(|view| view.value) else { return String::new() };
    let value: serde_json::Value = serde_json::from_slice(&value).expect("it is JSON");
    let lines = value["lines"].as_array().into_iter().flatten();
    lines.map(|line| line["text"].as_str().unwrap_or_default()).collect::<Vec<_>>().join(" ")
}
/// Returns the keys with parked messages, each with its error and their number.
async fn parked(app: &App) -> Vec<(String, String, u64)> {
    let parked = app.parked().list(&Default::default()).await.expect("the database responds");
    parked.into_iter().map(|parked| (parked.key, parked.error, parked.count)).collect()
}
fn left(key: &str, count: u64) -> (String, String, u64) {
    (key.to_owned(), LEFT_TO_NEWER_PROGRAM.to_owned(), count)
}
/// Applies every event of the log. An event that cannot be applied fails a step, and the next one parks it.
async fn project(app: &App) {
    for mut follower in app.log_followers() {
        while !matches!(follower.step().await, Ok(Step::Idle(_))) {}
        follower.release().await;
    }
}
/// Does the background work of a replica.
async fn work(app: &App, jobs: &mut LeftMessages) {
    project(app).await;
    jobs.step().await.expect("the database responds");
}

/// Deploys the newer program and rolls it back, so that it has left messages to itself. The first storage is that of the
/// former program's replica, the second that of the newer one, the third that of the operator.
pub(crate) async fn scenario<S: Storage + Clone>([first, second, third]: [S; 3]) {
    let is_exclusive = first.is_exclusive();
    let (old, new) = (tickets!(old, first), tickets!(new, second));
    let operator = if is_exclusive { old.clone() } else { tickets!(old, third) };
    old.migrate().await.expect("the former program fits");
    note(&old, "1", "first").await;
    project(&old).await;
    new.migrate().await.expect("the newer program fits");
    new.send(new::Append("3".into(), new::TicketEvent::Noted("third".into()))).await.expect("the note is appended");
    project(&new).await;
    close(&new, "1").await;
    // The rollback.
    old.migrate().await.expect("a known program fits");
    note(&old, "1", "after").await;
    note(&old, "2", "other").await;
    old.send(old::Append("3".into(), old::TicketEvent::Marked)).await.expect("the event is appended");
    let mut jobs = old.left_messages();
    until("the former program has left the messages", async || {
        work(&old, &mut jobs).await;
        parked(&old).await == [left("ticket/1", 2), left("ticket/3", 1)]
    })
    .await;
    assert_eq!(history(&old, "1").await, "opened first");
    assert_eq!(history(&old, "2").await, "opened other");

    let programs = operator.programs();
    let listed = programs.list().await.expect("the database responds");
    let listed: Vec<_> = listed.iter().map(|program| (program.number, program.is_this, program.is_withdrawn)).collect();
    let [(own, true, false), (newer, false, false)] = listed[..] else { panic!("{listed:?}") };
    let more = &programs.list().await.expect("the database responds")[1].handles_more;
    assert_eq!(format!("{more:?}"), r#"{"projection/history": ["ticket.closed"]}"#);
    assert!(matches!(programs.withdraw(own).await, Err(WithdrawalError::NotNewer(_))));
    assert!(matches!(programs.withdraw(newer + 9).await, Err(WithdrawalError::Unknown(_))));
    assert!(matches!(new.programs().withdraw(newer).await, Err(WithdrawalError::NotNewer(_))));

    let expected = programs.dry_run(newer).await.expect("it can be withdrawn");
    let keys: Vec<_> = expected.released.iter().map(|key| (&*key.key, key.count, key.stopped.is_some())).collect();
    assert_eq!(keys, [("ticket/1", 0, true), ("ticket/3", 1, false)]);
    let stopped = expected.released[0].stopped.as_deref().unwrap_or_default();
    assert!(stopped.contains("no handler for ticket.closed as reader projection/history"), "{stopped}");
    jobs.step().await.expect("the database responds");
    assert_eq!(parked(&old).await, [left("ticket/1", 2), left("ticket/3", 1)], "a dry run changes nothing");

    let done = programs.withdraw(newer).await.expect("it can be withdrawn");
    assert!(!done.was_withdrawn && done.still_newer.is_empty(), "{done:?}");
    assert!(programs.withdraw(newer).await.expect("it can be withdrawn").was_withdrawn);
    until("a message is handled, and another one is parked with a reason", async || {
        work(&old, &mut jobs).await;
        let parked = parked(&old).await;
        parked.len() == 1 && parked[0].1.contains("no handler for ticket.closed")
    })
    .await;
    assert_eq!(history(&old, "3").await, "opened! third!");
    assert_eq!((&*parked(&old).await[0].0, parked(&old).await[0].2), ("ticket/1", 2));
    // The messages behind the discarded one need no operator.
    let first =
        old.parked().show("projection/history", "ticket/1", 0, 1).await.expect("the database responds").remove(0);
    let by = cqrs_core::Metadata::default().caller("kim");
    let discarded = old.parked().discard("projection/history", "ticket/1", first.number, "withdrawn", &by).await;
    assert!(discarded.expect("the database responds"));
    until("the rest is handled", async || {
        work(&old, &mut jobs).await;
        parked(&old).await.is_empty()
    })
    .await;
    assert_eq!(history(&old, "1").await, "opened first after");

    // It comes back nevertheless, and is the newest program again.
    new.migrate().await.expect("a known program fits");
    let listed = programs.list().await.expect("the database responds");
    let states: Vec<_> = listed.iter().map(|program| program.is_withdrawn).collect();
    assert_eq!(states, [false, true, false]);
    assert!(listed[2].number > newer && new.programs().list().await.expect("the database responds")[2].is_this);
    close(&new, "2").await;
    if is_exclusive {
        old.migrate().await.expect("a known program fits");
    }
    until("the former program has left it again", async || {
        work(&old, &mut jobs).await;
        parked(&old).await == [left("ticket/2", 1)]
    })
    .await;
    let mut jobs = new.left_messages();
    until("the newer program has handled it", async || {
        work(&new, &mut jobs).await;
        parked(&new).await.is_empty()
    })
    .await;
    assert_eq!(history(&new, "2").await, "opened other closed");
}

/// Lets the newer program close a ticket, and rolls it back before the former one has read the event.
async fn deployed<S: Storage + Clone>(storage: S) -> App {
    let (old, new) = (tickets!(old, storage.clone()), tickets!(new, storage));
    old.migrate().await.expect("the former program fits");
    note(&old, "1", "first").await;
    new.migrate().await.expect("the newer program fits");
    close(&new, "1").await;
    old.migrate().await.expect("a known program fits");
    old
}
async fn newest(app: &App) -> u64 {
    app.programs().list().await.expect("the database responds").pop().expect("there are programs").number
}

async fn unread() {
    let old = deployed(Memory::new()).await;
    let newer = newest(&old).await;
    let refused = old.programs().withdraw(newer).await.expect_err("the event would be passed");
    let WithdrawalError::Unread { reader, event } = &refused else { panic!("{refused}") };
    assert_eq!((&**reader, &**event), ("projection/history", "ticket.closed"));
    assert!(!old.programs().list().await.expect("the database responds")[1].is_withdrawn);
    // It waits for a reader that is about to reach it.
    let programs = old.programs();
    let (withdrawn, ()) = tokio::join!(programs.withdraw(newer), project(&old));
    withdrawn.expect("the reader has reached it");
    let mut jobs = old.left_messages();
    work(&old, &mut jobs).await;
    let found = parked(&old).await;
    assert!(found.len() == 1 && found[0].1.contains("no handler for ticket.closed"), "{found:?}");
    let stranger = tickets!(old, Memory::new());
    assert!(matches!(stranger.programs().withdraw(1).await, Err(WithdrawalError::NotStarted)));
}

/// A memory that several processes could use, so that programs look for others.
#[derive(Clone)]
struct Shared(Memory);
#[async_trait]
impl StorageLayer for Shared {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    fn is_exclusive(&self) -> bool {
        false
    }
}

async fn runs() {
    let storage = Shared(Memory::new());
    let old = deployed(storage.clone()).await;
    project(&old).await;
    let new = tickets!(new, storage);
    new.migrate().await.expect("a known program fits");
    let mut jobs = new.left_messages();
    work(&new, &mut jobs).await;
    let newer = newest(&old).await;
    old.programs().withdraw(newer).await.expect("it can be withdrawn");
    until("the program has declared itself anew", async || {
        work(&new, &mut jobs).await;
        newest(&old).await > newer
    })
    .await;
    // The former program looks for others once in this time.
    Fast::new().sleep(Duration::from_secs(2)).await;
    close(&new, "1").await;
    let mut jobs = old.left_messages();
    until("the former program leaves messages to it", async || {
        work(&old, &mut jobs).await;
        parked(&old).await == [left("ticket/1", 1)]
    })
    .await;
}

/// A storage whose catalogue lacks the withdrawals.
#[derive(Clone)]
struct Lost(Memory);
#[async_trait]
impl StorageLayer for Lost {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn programs(&self, after: u64) -> Result<Vec<StoredProgram>, Fault> {
        let mut programs = self.0.programs(after).await?;
        programs.retain(|program| !program.declaration.contains("withdrawn_program"));
        Ok(programs)
    }
}

async fn lost() {
    let old = deployed(Lost(Memory::new())).await;
    project(&old).await;
    old.programs().withdraw(newest(&old).await).await.expect("it can be withdrawn");
    let mut jobs = old.left_messages();
    work(&old, &mut jobs).await;
    assert_eq!(parked(&old).await, [left("ticket/1", 1)], "the message is still left to the withdrawn program");
}

/// A storage that shows no entry of the log.
#[derive(Clone)]
struct Unseen(Memory);
#[async_trait]
impl StorageLayer for Unseen {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn log(&self, _: Position, _: Position, _: ReadLimit) -> Result<Vec<Entry>, Fault> {
        Ok(Vec::new())
    }
}

async fn unseen() {
    let memory = Memory::new();
    let old = deployed(memory.clone()).await;
    let operator = tickets!(old, Unseen(memory));
    operator.programs().withdraw(newest(&old).await).await.expect("no unread event is found");
    old.migrate().await.expect("a known program fits");
    let mut jobs = old.left_messages();
    work(&old, &mut jobs).await;
    assert_eq!(
        (&*history(&old, "1").await, parked(&old).await),
        ("opened first", vec![]),
        "the event is passed unseen"
    );
}
