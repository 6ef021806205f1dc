//! Two programs of one service on one database, as in a rolling deploy and a rollback.
use super::{Server, Trials, Tried};
use crate::bank::until;
use async_trait::async_trait;
use cqrs_core::{
    App, Fault, Metadata, StateStored,
    app::IncompatibleProgram,
    storage::{Storage, StoredData, StoredProgram, postgres::Postgres},
    testing::StorageLayer,
    transport::InProcess,
};
use std::sync::{Arc, Mutex};
use test_support::Database;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("an event that only the newer program's projection handles is left to it, in order", unknown_event)
        .test("an event in a newer version is left to the newer program", newer_version)
        .test("a message that only the newer program's group handles is left to it", unknown_message)
        .test("a program that does not fit the stored data is refused with every problem, and changes nothing", refused)
        .test("a program that cannot read the stored fields is refused, and changes nothing", changed_fields)
        .test("seeded: an old program that does not see the newer one passes its event", hidden)
        .test("an older program keeps the fields of a newer one in states and views", newer_fields)
        .test("a program that has fitted before starts again after a newer one", rollback)
        .test(
            "seeded: an old program that does not see the newer one parks an event in a newer version",
            hidden_version,
        )
        .test("seeded: an old group that does not see the newer program passes its message", hidden_message)
        .test("seeded: a start that does not look at the stored data misses problems", holds_nothing)
        .test("seeded: a program whose declaration was forgotten does not start again", forgotten)
}

/// The program before the deploy.
mod old {
    use cqrs_core::{
        Aggregate, Change, Command, Event, Evolve, HandlerResult, IntegrationEvent, Recorded, Repo, View, handler,
        projection, publish,
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
    }
    impl Evolve<TicketEvent> for Ticket {
        fn create(id: String, _: &TicketEvent) -> Option<Self> {
            Some(Ticket { id })
        }
        fn apply(&mut self, _: &TicketEvent) {}
    }
    #[derive(Clone, Serialize, Deserialize, View)]
    #[view(name = "history", key = String)]
    pub(super) struct History(pub(super) Vec<String>);
    #[derive(Clone, Serialize, Deserialize, Command)]
    pub(super) struct Note(pub(super) String, pub(super) String);
    #[handler]
    async fn note(command: Note, tickets: Repo<Ticket>) -> HandlerResult<()> {
        if tickets.find(&command.0).await?.is_none() {
            tickets.create(command.0.clone(), TicketEvent::Opened)?;
        }
        tickets.update(&command.0, |_| TicketEvent::Noted(command.1.clone())).await?;
        Ok(())
    }
    #[projection(name = "history")]
    fn history(event: &Recorded<TicketEvent>) -> Change<History> {
        match &event.event {
            TicketEvent::Opened => History(vec!["opened".into()]).put(event.aggregate_id.clone()),
            TicketEvent::Noted(text) => {
                let text = text.clone();
                History::update(event.aggregate_id.clone(), move |history| history.0.push(text))
            }
        }
    }

    #[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
    #[integration_event(name = "ticket.noted.v1", topic = "tickets", key = ticket)]
    pub(super) struct TicketNoted {
        ticket: String,
        pub(super) text: String,
    }
    #[publish]
    fn noted(event: &Recorded<TicketEvent>) -> Option<TicketNoted> {
        let TicketEvent::Noted(text) = &event.event else { return None };
        Some(TicketNoted { ticket: event.aggregate_id.clone(), text: text.clone() })
    }
}

/// The program after the deploy: it stores and handles one event more.
mod new {
    use cqrs_core::{
        Aggregate, Change, Command, Event, Evolve, HandlerResult, IntegrationEvent, Recorded, Repo, View, handler,
        projection, publish,
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
        Closed,
    }
    impl Evolve<TicketEvent> for Ticket {
        fn create(id: String, _: &TicketEvent) -> Option<Self> {
            Some(Ticket { id })
        }
        fn apply(&mut self, _: &TicketEvent) {}
    }
    #[derive(Clone, Serialize, Deserialize, View)]
    #[view(name = "history", key = String)]
    pub(super) struct History(pub(super) Vec<String>);
    #[derive(Clone, Serialize, Deserialize, Command)]
    pub(super) struct Close(pub(super) String);
    #[handler]
    async fn close(command: Close, tickets: Repo<Ticket>) -> HandlerResult<()> {
        tickets.update(&command.0, |_| TicketEvent::Closed).await?;
        Ok(())
    }
    #[projection(name = "history")]
    fn history(event: &Recorded<TicketEvent>) -> Change<History> {
        let id = event.aggregate_id.clone();
        match &event.event {
            TicketEvent::Opened => History(vec!["opened".into()]).put(id),
            TicketEvent::Noted(text) => {
                let text = text.clone();
                History::update(id, move |history| history.0.push(text))
            }
            TicketEvent::Closed => History::update(id, |history| history.0.push("closed".into())),
        }
    }

    #[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
    #[integration_event(name = "ticket.closed.v1", topic = "tickets", key = ticket)]
    pub(super) struct TicketClosed {
        ticket: String,
    }
    #[publish]
    fn closed(event: &Recorded<TicketEvent>) -> Option<TicketClosed> {
        matches!(event.event, TicketEvent::Closed).then(|| TicketClosed { ticket: event.aggregate_id.clone() })
    }
}

/// The old program of the service that hears the topic.
mod old_mail {
    use super::old::TicketNoted;
    use cqrs_core::{BoxError, Dep, Recorded, subscriber};
    use std::sync::Mutex;

    #[subscriber(group = "mail.tickets")]
    async fn noted(event: Recorded<TicketNoted>, received: Dep<Mutex<Vec<String>>>) -> Result<(), BoxError> {
        received.lock().expect("no test panics here").push(event.text.clone());
        Ok(())
    }
}

/// The new program of the service that hears the topic.
mod new_mail {
    use super::{new::TicketClosed, old::TicketNoted};
    use cqrs_core::{BoxError, Dep, Recorded, subscriber};
    use std::sync::Mutex;

    #[subscriber(group = "mail.tickets")]
    async fn noted(event: Recorded<TicketNoted>, received: Dep<Mutex<Vec<String>>>) -> Result<(), BoxError> {
        received.lock().expect("no test panics here").push(event.text.clone());
        Ok(())
    }
    #[subscriber(group = "mail.tickets")]
    async fn closed(_: Recorded<TicketClosed>, received: Dep<Mutex<Vec<String>>>) -> Result<(), BoxError> {
        received.lock().expect("no test panics here").push("closed".into());
        Ok(())
    }
}

/// The program after another deploy: its events have version 2.
mod version_2 {
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
    #[event(name = "ticket", version = 2)]
    pub(super) enum TicketEvent {
        Opened,
        Noted(String),
    }
    impl Evolve<TicketEvent> for Ticket {
        fn create(id: String, _: &TicketEvent) -> Option<Self> {
            Some(Ticket { id })
        }
        fn apply(&mut self, _: &TicketEvent) {}
    }
    #[derive(Clone, Serialize, Deserialize, View)]
    #[view(name = "history", key = String)]
    pub(super) struct History(pub(super) Vec<String>);
    #[derive(Clone, Serialize, Deserialize, Command)]
    pub(super) struct Note2(pub(super) String, pub(super) String);
    #[handler]
    async fn note2(command: Note2, tickets: Repo<Ticket>) -> HandlerResult<()> {
        tickets.update(&command.0, |_| TicketEvent::Noted(command.1.clone())).await?;
        Ok(())
    }
    #[projection(name = "history")]
    fn history(event: &Recorded<TicketEvent>) -> Change<History> {
        match &event.event {
            TicketEvent::Opened => History(vec!["opened".into()]).put(event.aggregate_id.clone()),
            TicketEvent::Noted(text) => {
                let text = text.clone();
                History::update(event.aggregate_id.clone(), move |history| history.0.push(text))
            }
        }
    }
}

/// A program whose aggregate, view and events do not fit what the old one has stored.
mod misfit {
    use cqrs_core::{Aggregate, Change, Event, Evolve, Recorded, View, projection};
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "ticket", event = TicketEvent)]
    pub(super) struct Ticket {
        #[id]
        id: String,
        #[unique]
        title: String,
    }
    #[derive(Clone, Serialize, Deserialize, Event)]
    #[event(name = "ticket", version = 1)]
    pub(super) enum TicketEvent {
        Opened,
    }
    impl Evolve<TicketEvent> for Ticket {
        fn create(id: String, _: &TicketEvent) -> Option<Self> {
            Some(Ticket { title: id.clone(), id })
        }
        fn apply(&mut self, _: &TicketEvent) {}
    }
    #[derive(Clone, Serialize, Deserialize, View)]
    #[view(name = "history", key = String)]
    #[index(by_title(title))]
    pub(super) struct History {
        title: String,
    }
    #[projection(name = "history")]
    fn history(event: &Recorded<TicketEvent>) -> Change<History> {
        History { title: event.aggregate_id.clone() }.put(event.aggregate_id.clone())
    }
}

const OLD: &str = concat!(module_path!(), "::old");
const NEW: &str = concat!(module_path!(), "::new");

async fn storage(database: &Database) -> anyhow::Result<Postgres> {
    Ok(Postgres::connect(database.url()).await?)
}
async fn tickets(database: &Database, module: &'static str) -> anyhow::Result<App> {
    let builder = App::builder("tickets").storage(storage(database).await?).discover_part(module);
    Ok(match module {
        OLD => builder.aggregate(StateStored::<old::Ticket>::new()).build()?,
        NEW => builder.aggregate(StateStored::<new::Ticket>::new()).build()?,
        _ => builder.aggregate(StateStored::<version_2::Ticket>::new()).build()?,
    })
}
async fn history(app: &App, id: &str) -> Vec<String> {
    let found = app.storage().views("history", &[id.to_owned()]).await.expect("the database responds");
    let value = found.into_iter().next().and_then(|view| view.value);
    value.map_or_else(Vec::new, |value| serde_json::from_slice(&value).expect("a list of texts"))
}
async fn parked(app: &App) -> Vec<(String, String, u64)> {
    let parked = app.parked().list(&Default::default()).await.expect("the database responds");
    parked.into_iter().map(|parked| (parked.key, parked.error, parked.count)).collect()
}
const LEFT: &str = cqrs_core::storage::LEFT_TO_NEWER_PROGRAM;

async fn unknown_event(server: Server) -> Tried {
    let database = server.create_database("deploys_unknown_event")?;
    let (old, new) = (tickets(&database, OLD).await?, tickets(&database, NEW).await?);
    let running = old.start().await?;
    old.send(old::Note("1".into(), "first".into())).await?;
    let joined = new.join().await?;
    new.send(new::Close("1".into())).await?;
    old.send(old::Note("1".into(), "after".into())).await?;
    old.send(old::Note("2".into(), "other".into())).await?;
    // Only the old program's projection runs. It goes on with other keys and passes nothing of this one.
    until("the other key is projected", async || history(&old, "2").await == ["opened", "other"]).await;
    assert_eq!(parked(&old).await, [("ticket/1".to_owned(), LEFT.to_owned(), 2)]);
    assert_eq!(history(&old, "1").await, ["opened", "first"]);
    // Both are the newer program's, so that a redelivery may be interrupted between them.
    let both = old.parked().show("projection/history", "ticket/1", 0, 9).await?;
    assert!(both.iter().all(|parked| parked.error == LEFT), "{both:?}");
    let also_running = joined.start();
    until("the newer program has handled them", async || parked(&new).await.is_empty()).await;
    assert_eq!(history(&new, "1").await, ["opened", "first", "closed", "after"]);
    assert!(running.stop(cqrs_core::app::DRAIN).await && also_running.stop(cqrs_core::app::DRAIN).await);
    Ok(())
}

/// A storage that hides the programs after the first one.
struct Hidden(Postgres);
#[async_trait]
impl StorageLayer for Hidden {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn programs(&self, _: u64) -> Result<Vec<StoredProgram>, Fault> {
        Ok(Vec::new())
    }
}

/// A storage that finds no stored data.
struct HoldsNothing(Postgres);
#[async_trait]
impl StorageLayer for HoldsNothing {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn holds(&self, _: &StoredData) -> Result<bool, Fault> {
        Ok(false)
    }
}
/// A storage that has forgotten the programs without the event `ticket.closed`.
struct Forgotten(Postgres);
#[async_trait]
impl StorageLayer for Forgotten {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn programs(&self, after: u64) -> Result<Vec<StoredProgram>, Fault> {
        let mut programs = self.0.programs(after).await?;
        programs.retain(|program| program.declaration.contains("ticket.closed"));
        Ok(programs)
    }
}

async fn hidden(server: Server) -> Tried {
    let database = server.create_database("deploys_hidden")?;
    let old = App::builder("tickets").storage(Hidden(storage(&database).await?)).discover_part(OLD);
    let old = old.aggregate(StateStored::<old::Ticket>::new()).build()?;
    let new = tickets(&database, NEW).await?;
    let running = old.start().await?;
    old.send(old::Note("1".into(), "first".into())).await?;
    let joined = new.join().await?;
    new.send(new::Close("1".into())).await?;
    old.send(old::Note("1".into(), "after".into())).await?;
    until("the old program has passed it", async || history(&old, "1").await.len() == 3).await;
    let also_running = joined.start();
    assert_eq!(history(&new, "1").await, ["opened", "first", "after"], "the new program's event is lost");
    assert!(parked(&new).await.is_empty());
    assert!(running.stop(cqrs_core::app::DRAIN).await && also_running.stop(cqrs_core::app::DRAIN).await);
    Ok(())
}

async fn newer_version(server: Server) -> Tried {
    let database = server.create_database("deploys_newer_version")?;
    let old = tickets(&database, OLD).await?;
    let new = tickets(&database, concat!(module_path!(), "::version_2")).await?;
    let running = old.start().await?;
    old.send(old::Note("1".into(), "first".into())).await?;
    let joined = new.join().await?;
    new.send(version_2::Note2("1".into(), "second".into())).await?;
    until("the old program has left it", async || parked(&old).await == [("ticket/1".to_owned(), LEFT.to_owned(), 1)])
        .await;
    let also_running = joined.start();
    until("the newer program has handled it", async || parked(&new).await.is_empty()).await;
    assert_eq!(history(&new, "1").await, ["opened", "first", "second"]);
    assert!(running.stop(cqrs_core::app::DRAIN).await && also_running.stop(cqrs_core::app::DRAIN).await);
    Ok(())
}

async fn unknown_message(server: Server) -> Tried {
    let publisher = server.create_database("deploys_publisher")?;
    let subscriber = server.create_database("deploys_subscriber")?;
    let (transport, received) = (InProcess::new(), Arc::new(Mutex::new(Vec::<String>::new())));
    let module =
        |module| App::builder("mail").discover_part(module).transport(transport.clone()).provide(received.clone());
    let old_mail = module(concat!(module_path!(), "::old_mail")).storage(storage(&subscriber).await?).build()?;
    let new_mail = module(concat!(module_path!(), "::new_mail")).storage(storage(&subscriber).await?).build()?;
    let old_tickets = {
        let builder = App::builder("tickets").storage(storage(&publisher).await?).transport(transport.clone());
        builder.discover_part(OLD).aggregate(StateStored::<old::Ticket>::new()).build()?
    };
    let new_tickets = {
        let builder = App::builder("tickets").storage(storage(&publisher).await?).transport(transport.clone());
        builder.discover_part(NEW).aggregate(StateStored::<new::Ticket>::new()).build()?
    };
    // The newer program was deployed and rolled back.
    assert!(old_mail.start().await?.stop(cqrs_core::app::DRAIN).await);
    assert!(new_mail.start().await?.stop(cqrs_core::app::DRAIN).await);
    let mail = old_mail.start().await?;
    let publishing = new_tickets.start().await?;
    old_tickets.send(old::Note("1".into(), "first".into())).await?;
    new_tickets.send(new::Close("1".into())).await?;
    until("the old program has left it", async || parked(&old_mail).await == [("1".to_owned(), LEFT.to_owned(), 1)])
        .await;
    assert!(mail.stop(cqrs_core::app::DRAIN).await);
    let mail = new_mail.start().await?;
    until("the newer program has handled it", async || parked(&new_mail).await.is_empty()).await;
    assert_eq!(*received.lock().expect("no test panics here"), ["first", "closed"]);
    assert!(mail.stop(cqrs_core::app::DRAIN).await && publishing.stop(cqrs_core::app::DRAIN).await);
    Ok(())
}

async fn hidden_version(server: Server) -> Tried {
    let database = server.create_database("deploys_hidden_version")?;
    let old = App::builder("tickets").storage(Hidden(storage(&database).await?)).discover_part(OLD);
    let old = old.aggregate(StateStored::<old::Ticket>::new()).build()?;
    let new = tickets(&database, concat!(module_path!(), "::version_2")).await?;
    let running = old.start().await?;
    old.send(old::Note("1".into(), "first".into())).await?;
    new.migrate().await?;
    new.send(version_2::Note2("1".into(), "second".into())).await?;
    until("the old program has parked it", async || parked(&old).await.len() == 1).await;
    assert_ne!(parked(&old).await[0].1, LEFT, "an operator has to act");
    assert!(running.stop(cqrs_core::app::DRAIN).await);
    Ok(())
}

async fn hidden_message(server: Server) -> Tried {
    let publisher = server.create_database("deploys_hidden_publisher")?;
    let subscriber = server.create_database("deploys_hidden_subscriber")?;
    let (transport, received) = (InProcess::new(), Arc::new(Mutex::new(Vec::<String>::new())));
    let mail =
        |module| App::builder("mail").discover_part(module).transport(transport.clone()).provide(received.clone());
    let old_mail = mail(concat!(module_path!(), "::old_mail")).storage(Hidden(storage(&subscriber).await?)).build()?;
    let new_mail = mail(concat!(module_path!(), "::new_mail")).storage(storage(&subscriber).await?).build()?;
    let tickets = |module| App::builder("tickets").discover_part(module).transport(transport.clone());
    let old_tickets = tickets(OLD).storage(storage(&publisher).await?);
    let old_tickets = old_tickets.aggregate(StateStored::<old::Ticket>::new()).build()?;
    let new_tickets = tickets(NEW).storage(storage(&publisher).await?);
    let new_tickets = new_tickets.aggregate(StateStored::<new::Ticket>::new()).build()?;
    old_mail.migrate().await?;
    new_mail.migrate().await?;
    let (mail, publishing) = (old_mail.start().await?, new_tickets.start().await?);
    old_tickets.send(old::Note("1".into(), "first".into())).await?;
    new_tickets.send(new::Close("1".into())).await?;
    old_tickets.send(old::Note("1".into(), "last".into())).await?;
    until("the old group has handled the last message", async || {
        received.lock().expect("no test panics here").contains(&"last".to_owned())
    })
    .await;
    assert_eq!(*received.lock().expect("no test panics here"), ["first", "last"], "the message was passed");
    assert_eq!(parked(&old_mail).await, []);
    assert!(mail.stop(cqrs_core::app::DRAIN).await && publishing.stop(cqrs_core::app::DRAIN).await);
    Ok(())
}

async fn newer_fields(server: Server) -> Tried {
    let database = server.create_database("deploys_newer_fields")?;
    assert_eq!(crate::newer_fields::scenario(storage(&database).await?).await, crate::newer_fields::KEPT);
    Ok(())
}

async fn changed_fields(server: Server) -> Tried {
    let database = server.create_database("deploys_changed_fields")?;
    crate::changed_fields::refused(storage(&database).await?).await;
    Ok(())
}

/// Stores a ticket with its view.
async fn noted(database: &Database) -> anyhow::Result<App> {
    let old = tickets(database, OLD).await?;
    let running = old.start().await?;
    old.send(old::Note("1".into(), "first".into())).await?;
    until("the view is there", async || history(&old, "1").await.len() == 2).await;
    assert!(running.stop(cqrs_core::app::DRAIN).await);
    Ok(old)
}
fn misfit(storage: impl Storage) -> anyhow::Result<App> {
    let misfit = App::builder("tickets").storage(storage).discover_part(concat!(module_path!(), "::misfit"));
    Ok(misfit.aggregate(cqrs_core::EventSourced::<misfit::Ticket>::new()).build()?)
}
/// Returns the problems for which a program does not start.
async fn problems_of(app: &App) -> anyhow::Result<Vec<String>> {
    let refused = app.start().await.err().ok_or_else(|| anyhow::anyhow!("the program starts"))?;
    let source = std::error::Error::source(&refused).and_then(|source| source.downcast_ref::<IncompatibleProgram>());
    Ok(source.ok_or_else(|| anyhow::anyhow!("another error: {refused:?}"))?.problems.clone())
}

async fn holds_nothing(server: Server) -> Tried {
    let database = server.create_database("deploys_holds_nothing")?;
    noted(&database).await?;
    let problems = problems_of(&misfit(HoldsNothing(storage(&database).await?))?).await?;
    assert_eq!(problems.len(), 1, "only the view that cannot be read is found: {problems:?}");
    Ok(())
}

async fn forgotten(server: Server) -> Tried {
    let database = server.create_database("deploys_forgotten")?;
    let old = noted(&database).await?;
    let new = tickets(&database, NEW).await?;
    new.migrate().await?;
    new.send(new::Close("1".into())).await?;
    old.migrate().await?;
    let again = App::builder("tickets").storage(Forgotten(storage(&database).await?)).discover_part(OLD);
    let again = again.aggregate(StateStored::<old::Ticket>::new()).build()?;
    let problems = problems_of(&again).await?;
    assert!(problems.len() == 1 && problems[0].contains("events `ticket.closed`"), "{problems:?}");
    Ok(())
}

async fn refused(server: Server) -> Tried {
    let database = server.create_database("deploys_refused")?;
    let old = noted(&database).await?;
    let misfit = misfit(storage(&database).await?)?;
    let problems = problems_of(&misfit).await?;
    let starts: Vec<_> = problems.iter().map(|problem| problem.split(['`', ':']).take(4).collect::<Vec<_>>()).collect();
    const VIEW: &str = " give the view and its projection new names, so that they fill beside the old ones";
    assert_eq!(
        starts,
        [
            ["aggregate ", "ticket", " is stored as ", "StateStored"],
            ["the log has events ", "ticket.noted", " of aggregate ", "ticket"],
            ["the stored values of view ", "history", " have one value, and this program reads named fields", VIEW],
            ["view ", "history", " cannot read its stored values to fill in index ", "by_title"],
        ]
    );
    // Nothing was declared, so the next start is refused as well.
    assert!(misfit.join().await.is_err());
    assert!(old.start().await?.stop(cqrs_core::app::DRAIN).await);
    Ok(())
}

async fn rollback(server: Server) -> Tried {
    let database = server.create_database("deploys_rollback")?;
    let (old, new) = (tickets(&database, OLD).await?, tickets(&database, NEW).await?);
    assert!(old.start().await?.stop(cqrs_core::app::DRAIN).await);
    let running = new.start().await?;
    old.send(old::Note("1".into(), "first".into())).await?;
    new.send(new::Close("1".into())).await?;
    until("the event is handled", async || history(&new, "1").await.len() == 3).await;
    assert!(running.stop(cqrs_core::app::DRAIN).await);
    let running = old.start().await?;
    old.with(Metadata::default()).send(old::Note("1".into(), "last".into())).await?;
    until("the old program goes on", async || history(&old, "1").await.len() == 4).await;
    assert_eq!(history(&old, "1").await, ["opened", "first", "closed", "last"]);
    assert!(running.stop(cqrs_core::app::DRAIN).await);
    Ok(())
}
