//! The query side of a service: views in a store of their own, filled from the log, and served while the database is down.
use crate::{
    bank::{Account, AccountEvent, FindCard, Pay, bank, opened, paid_in, until},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, AppBuilder, Change, ErrorKind, Fault, HandlerResult, Infallible, Metadata, Page, Position, Query, Recorded,
    StateStored, View, Views,
    app::RebuildError,
    handler, projection,
    storage::{
        CommitError, Memory, ParkedPage, ReadLimit, Scan, Scanned, Storage, StoredView, ViewBatch, ViewRead, ViewStore,
    },
    testing::{StorageLayer, TestApp, settle},
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("query side: it answers as the service does, also in pages and counts", || {
            answers(Arc::new(Memory::new()))
        }),
        trial("query side: a read waits for the position of a consistency token", || token(Arc::new(Memory::new()))),
        trial("query side: a command is refused and changes nothing", refused),
        trial("query side: what changes the database of the service is refused", operations_refused),
        trial("query side: a live query gets every change, and ends when the store fails", live),
        trial("query side: several processes apply each event once", || once(Arc::new(Memory::new()))),
        trial("query side: it answers while the database is down, and goes on when it is back", || {
            database_down(Arc::new(Memory::new()))
        }),
        trial("query side: it starts and answers while the database is down", started_while_down),
        trial("query side: an empty one is unavailable while the database is down", empty_while_down),
        trial("query side: a view is unavailable until it is filled", unfilled),
        trial("query side: views that the store has lost are unavailable until they are filled again", lost),
        trial("query side: a store that fails as full parks nothing, and the projection goes on later", full),
        trial("query side: an event that cannot be applied holds the projection, and nothing is parked", held),
        trial("query side: a program with another projection fills a copy of its own", other_program),
        trial("query side: a new epoch of the database fills the views anew", epoch),
        trial("query side: the store of a later epoch is refused", later_epoch),
        trial("query side: the database of another service is refused", foreign),
        trial("query side: cleared views are filled again", cleared),
        trial("query side: a view that a topic fills is unavailable", on_topic),
    ]
}

mod queries {
    use super::{HandlerResult, Infallible, Page, Query, Views, handler};
    use crate::bank::Card;
    use cqrs_core::{Cursor, Live};
    #[derive(Clone, Query)]
    pub(crate) struct FollowCard(pub(crate) String);
    #[handler]
    async fn follow_card(query: FollowCard, cards: Views<Card>) -> HandlerResult<Live<Option<Card>>, Infallible> {
        Ok(cards.watch(&query.0, None).await?)
    }
    #[derive(Clone, Query)]
    pub(crate) struct RichestCards(pub(crate) Option<Cursor>, pub(crate) usize);
    #[handler]
    async fn richest_cards(query: RichestCards, cards: Views<Card>) -> HandlerResult<Page<Card>, Infallible> {
        Ok(cards.page(Card::richest(), query.0.as_ref(), query.1).await?)
    }
    #[derive(Clone, Query)]
    pub(crate) struct CountCards;
    #[handler]
    async fn count_cards(_: CountCards, cards: Views<Card>) -> HandlerResult<u64, Infallible> {
        Ok(cards.count(Card::richest()).await?)
    }
}
use queries::{CountCards, FollowCard, RichestCards};

/// A database that can be down, and a store that can be down, be full and lose its content.
#[derive(Clone, Default)]
struct Database {
    memory: Memory,
    is_down: Arc<AtomicBool>,
}
impl Database {
    fn check(&self) -> Result<(), Fault> {
        if self.is_down.load(SeqCst) { Err(Fault::unavailable("seeded: the database is down")) } else { Ok(()) }
    }
}
#[async_trait]
impl StorageLayer for Database {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn ready(&self) -> Result<(), Fault> {
        self.check()
    }
    async fn high_water_mark(&self) -> Result<Position, Fault> {
        self.check()?;
        self.memory.high_water_mark().await
    }
    async fn log(
        &self,
        after: Position,
        upto: Position,
        limit: ReadLimit,
    ) -> Result<Vec<cqrs_core::event::Entry>, Fault> {
        self.check()?;
        self.memory.log(after, upto, limit).await
    }
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        self.check()?;
        self.memory.notes(prefix).await
    }
}
/// A store that can be full or down, and lose its content.
#[derive(Clone)]
struct Store {
    inner: Arc<Mutex<Arc<dyn ViewStore>>>,
    is_full: Arc<AtomicBool>,
    is_down: Arc<AtomicBool>,
    applied: Arc<AtomicUsize>,
}
impl Store {
    fn new(inner: Arc<dyn ViewStore>) -> Self {
        Store {
            inner: Arc::new(Mutex::new(inner)),
            is_full: Arc::default(),
            is_down: Arc::default(),
            applied: Arc::default(),
        }
    }
    fn inner(&self) -> Arc<dyn ViewStore> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    fn lose(&self) {
        *self.inner.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(Memory::new());
    }
}
#[async_trait]
impl ViewStore for Store {
    async fn prepare(&self) -> Result<(), Fault> {
        self.inner().prepare().await
    }
    async fn find(&self, view: &str, keys: &[String], readers: &[String]) -> Result<ViewRead<Vec<StoredView>>, Fault> {
        self.inner().find(view, keys, readers).await
    }
    async fn range(&self, scan: &Scan<'_>, readers: &[String]) -> Result<ViewRead<Vec<Scanned>>, Fault> {
        self.inner().range(scan, readers).await
    }
    async fn count(&self, scan: &Scan<'_>, readers: &[String]) -> Result<ViewRead<u64>, Fault> {
        self.inner().count(scan, readers).await
    }
    async fn positions(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        if self.is_down.load(SeqCst) {
            return Err(Fault::unavailable("seeded: the store is down"));
        }
        self.inner().positions(readers).await
    }
    async fn apply(&self, batch: ViewBatch) -> Result<(), CommitError> {
        if self.is_full.load(SeqCst) {
            return Err(Fault::unavailable("seeded: the store is full").into());
        }
        self.inner().apply(batch).await?;
        self.applied.fetch_add(1, SeqCst);
        Ok(())
    }
    async fn clear(&self, view: &str, readers: &[String]) -> Result<(), Fault> {
        self.inner().clear(view, readers).await
    }
    async fn respond(&self) -> Result<(), Fault> {
        self.inner().respond().await
    }
}

fn service(storage: impl Storage) -> AppBuilder {
    bank(storage).discover_part("it::query_side::queries")
}
async fn started(app: AppBuilder) -> TestApp {
    TestApp::start(app).await.expect("the app starts")
}
/// Returns a started service and its query side.
async fn both(database: &Database, store: &Store) -> (TestApp, TestApp) {
    let commands = started(service(database.clone())).await;
    let queries = started(service(database.clone()).query_side(store.clone())).await;
    (commands, queries)
}
async fn balance(app: &App, id: &str) -> Result<Option<i64>, ErrorKind> {
    let found = app.send(FindCard(id.to_owned())).await.map_err(|error| error.kind())?;
    Ok(found.map(|card| card.balance))
}
async fn nothing_is_parked(app: &App) {
    let parked = app.storage().parked_keys(&ParkedPage { limit: 9, ..ParkedPage::default() }).await;
    assert_eq!(parked.expect("parked messages can be read"), []);
}

pub(crate) async fn answers(store: Arc<dyn ViewStore>) {
    let (database, store) = (Database::default(), Store::new(store));
    let (commands, queries) = both(&database, &store).await;
    for n in 0..30 {
        opened(&commands, &format!("account {n}")).await;
        paid_in(&commands, &format!("account {n}"), n * 7 % 10).await;
    }
    settle(&[&commands, &queries]).await;
    for n in 0..31 {
        let (id, of) = (format!("account {n}"), [&commands, &queries]);
        assert_eq!(balance(of[0], &id).await, balance(of[1], &id).await);
    }
    let all = async |app: &App| {
        let (mut cards, mut after) = (Vec::new(), None);
        loop {
            let page: Page<_> = app.send(RichestCards(after, 7)).await.expect("a page can be read");
            cards.extend(page.items);
            after = page.next;
            if after.is_none() {
                return cards;
            }
        }
    };
    let cards = all(&queries).await;
    assert_eq!((cards.len(), &cards), (30, &all(&commands).await));
    assert_eq!(queries.send(CountCards).await.expect("the cards can be counted"), 30);
    assert!(queries.health().await.is_ready());
    assert!(queries.stop().await && commands.stop().await);
}

pub(crate) async fn token(store: Arc<dyn ViewStore>) {
    let (database, store) = (Database::default(), Store::new(store));
    let (commands, queries) = both(&database, &store).await;
    opened(&commands, "kim").await;
    for amount in 1..=30 {
        let paid = commands.with(Metadata::default()).send_committed(Pay { id: "kim".into(), amount: 1 }).await;
        let token = commands.token(paid.expect("the payment succeeds").position);
        let found = queries.with(Metadata::default().token(token)).send(FindCard("kim".into())).await;
        assert_eq!(found.expect("the read waits").map(|card| card.balance), Some(amount));
    }
    let far = queries.with(Metadata::default().token(commands.token(Position(1_000))));
    let error = far.send(FindCard("kim".into())).await.expect_err("the log does not reach the position");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

async fn refused() {
    let (database, store) = (Database::default(), Store::new(Arc::new(Memory::new())));
    let (commands, queries) = both(&database, &store).await;
    opened(&commands, "kim").await;
    let error = queries.send(Pay { id: "kim".into(), amount: 1 }).await.expect_err("a command is refused");
    assert_eq!((error.kind(), &*error.reason()), (ErrorKind::Precondition, "QUERIES_ONLY"));
    assert_eq!(error.to_string(), "this process serves only queries: send the command to the service itself");
    assert_eq!(commands.storage().high_water_mark().await.expect("the log can be read"), Position(1));
}

async fn operations_refused() {
    let (database, store) = (Database::default(), Store::new(Arc::new(Memory::new())));
    let (commands, queries) = both(&database, &store).await;
    opened(&commands, "kim").await;
    settle(&[&commands, &queries]).await;
    let refused = |fault: Option<Fault>| {
        assert_eq!(fault.map(|fault| fault.kind()), Some(ErrorKind::Precondition));
    };
    let notes = commands.storage().notes("").await.expect("the notes can be read");
    let rebuilt = queries.rebuild("card").run().await;
    assert!(
        matches!(&rebuilt, Err(RebuildError::Fault(fault)) if fault.kind() == ErrorKind::Precondition),
        "{rebuilt:?}"
    );
    let dropped = queries.drop_other_copy("card").await;
    assert!(
        matches!(&dropped, Err(RebuildError::Fault(fault)) if fault.kind() == ErrorKind::Precondition),
        "{dropped:?}"
    );
    refused(queries.archive(Duration::from_secs(3600)).await.err());
    refused(queries.renew_epoch().await.err());
    refused(queries.accept_topic("payments.v1").await.err());
    refused(commands.clear_query_side().await.err());
    assert_eq!(commands.storage().notes("").await.expect("the notes can be read"), notes);
}

async fn live() {
    let (database, store) = (Database::default(), Store::new(Arc::new(Memory::new())));
    let (commands, queries) = both(&database, &store).await;
    opened(&commands, "kim").await;
    settle(&[&commands, &queries]).await;
    let mut live = queries.send(FollowCard("kim".into())).await.expect("the view is filled");
    let mut balances = Vec::new();
    for amount in [0, 5, 6] {
        if amount > 0 {
            paid_in(&commands, "kim", amount).await;
        }
        let next = tokio::time::timeout(Duration::from_secs(30), live.next()).await.expect("an update comes");
        balances.push(next.expect("it goes on").expect("the store works").answer.map(|card| card.balance));
    }
    assert_eq!(balances, [Some(0), Some(5), Some(11)]);
    store.is_down.store(true, SeqCst);
    let ended = tokio::time::timeout(Duration::from_secs(30), live.next()).await.expect("it ends");
    let fault = ended.expect("an error comes").expect_err("the store is down");
    assert_eq!(fault.kind(), ErrorKind::Unavailable);
}

pub(crate) async fn once(store: Arc<dyn ViewStore>) {
    let (database, store) = (Database::default(), Store::new(store));
    let (commands, first) = both(&database, &store).await;
    let second = started(service(database.clone()).query_side(store.clone())).await;
    opened(&commands, "kim").await;
    for _ in 0..200 {
        paid_in(&commands, "kim", 1).await;
    }
    settle(&[&commands, &first, &second]).await;
    assert_eq!(balance(&first, "kim").await, Ok(Some(200)));
    assert_eq!(balance(&second, "kim").await, Ok(Some(200)));
    assert!(first.stop().await);
    paid_in(&commands, "kim", 1).await;
    settle(&[&commands, &second]).await;
    assert_eq!(balance(&second, "kim").await, Ok(Some(201)), "a process alone goes on");
}

pub(crate) async fn database_down(store: Arc<dyn ViewStore>) {
    let (database, store) = (Database::default(), Store::new(store));
    let (commands, queries) = both(&database, &store).await;
    opened(&commands, "kim").await;
    let paid = commands.with(Metadata::default()).send_committed(Pay { id: "kim".into(), amount: 5 }).await;
    let seen = commands.token(paid.expect("the payment succeeds").position);
    settle(&[&commands, &queries]).await;
    assert!(commands.stop().await);
    database.is_down.store(true, SeqCst);
    let with = |token| queries.with(Metadata::default().token(token));
    for _ in 0..20 {
        let found = with(seen.clone()).send(FindCard("kim".into())).await.expect("the query side answers");
        assert_eq!(found.map(|card| card.balance), Some(5));
        assert_eq!(queries.send(CountCards).await.expect("the query side answers"), 1);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let later = with(queries.token(Position(3))).send(FindCard("kim".into())).await;
    assert_eq!(later.expect_err("the position is not reached").kind(), ErrorKind::Unavailable);
    let health = queries.health().await;
    assert!(health.is_ready(), "{health:?}");
    database.is_down.store(false, SeqCst);
    let commands = started(service(database.clone())).await;
    paid_in(&commands, "kim", 1).await;
    until("the query side goes on", async || balance(&queries, "kim").await == Ok(Some(6))).await;
}

async fn started_while_down() {
    let (database, store) = (Database::default(), Store::new(Arc::new(Memory::new())));
    let (commands, queries) = both(&database, &store).await;
    opened(&commands, "kim").await;
    settle(&[&commands, &queries]).await;
    let seen = commands.token(Position(1));
    assert!(queries.stop().await);
    database.is_down.store(true, SeqCst);
    let queries = started(service(database.clone()).query_side(store.clone())).await;
    let found = queries.with(Metadata::default().token(seen)).send(FindCard("kim".into())).await;
    assert!(found.expect("the query side answers").is_some());
    assert!(queries.health().await.is_ready());
    database.is_down.store(false, SeqCst);
    paid_in(&commands, "kim", 1).await;
    until("the query side goes on", async || balance(&queries, "kim").await == Ok(Some(1))).await;
}

async fn empty_while_down() {
    let (database, store) = (Database::default(), Store::new(Arc::new(Memory::new())));
    let commands = started(service(database.clone())).await;
    opened(&commands, "kim").await;
    database.is_down.store(true, SeqCst);
    let queries = started(service(database.clone()).query_side(store.clone())).await;
    assert_eq!(balance(&queries, "kim").await, Err(ErrorKind::Unavailable));
    assert!(!queries.health().await.is_ready());
    database.is_down.store(false, SeqCst);
    until("the views are filled", async || balance(&queries, "kim").await == Ok(Some(0))).await;
    assert!(queries.health().await.is_ready());
}

async fn unfilled() {
    let (database, store) = (Database::default(), Store::new(Arc::new(Memory::new())));
    let commands = started(service(database.clone())).await;
    for n in 0..1_200 {
        opened(&commands, &format!("account {n}")).await;
    }
    let queries = service(database.clone()).query_side(store.clone()).build().expect("the app builds");
    queries.migrate().await.expect("the store is prepared");
    let mut followers = queries.query_followers();
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push((queries.send(CountCards).await.map_err(|error| error.kind()), queries.health().await.is_ready()));
        for follower in &mut followers {
            follower.step().await.expect("the step succeeds");
        }
    }
    answers.push((queries.send(CountCards).await.map_err(|error| error.kind()), queries.health().await.is_ready()));
    let unavailable = (Err(ErrorKind::Unavailable), false);
    // The first step stores the end of the log, and three batches of at most 500 events follow.
    assert_eq!(answers[..4], vec![unavailable; 4], "{answers:?}");
    assert_eq!(answers[4..], vec![(Ok(1_200), true); 2], "{answers:?}");
}

async fn lost() {
    let (database, store) = (Database::default(), Store::new(Arc::new(Memory::new())));
    let (commands, queries) = both(&database, &store).await;
    opened(&commands, "kim").await;
    paid_in(&commands, "kim", 5).await;
    settle(&[&commands, &queries]).await;
    assert_eq!(balance(&queries, "kim").await, Ok(Some(5)));
    database.is_down.store(true, SeqCst);
    store.lose();
    for _ in 0..10 {
        assert_eq!(balance(&queries, "kim").await, Err(ErrorKind::Unavailable), "a lost view is read");
        assert_eq!(queries.send(CountCards).await.map_err(|error| error.kind()), Err(ErrorKind::Unavailable));
    }
    assert!(!queries.health().await.is_ready());
    database.is_down.store(false, SeqCst);
    until("the views are filled again", async || balance(&queries, "kim").await == Ok(Some(5))).await;
    assert!(queries.health().await.is_ready());
    paid_in(&commands, "kim", 1).await;
    settle(&[&commands, &queries]).await;
    assert_eq!(balance(&queries, "kim").await, Ok(Some(6)));
}

async fn full() {
    let (database, store) = (Database::default(), Store::new(Arc::new(Memory::new())));
    let (commands, queries) = both(&database, &store).await;
    opened(&commands, "kim").await;
    settle(&[&commands, &queries]).await;
    store.is_full.store(true, SeqCst);
    paid_in(&commands, "kim", 5).await;
    until("the projection fails", async || {
        let health = queries.health().await;
        health.components.iter().any(|part| part.name == "jobs" && part.error.is_some())
    })
    .await;
    assert_eq!(balance(&queries, "kim").await, Ok(Some(0)), "the query side answers with what it has");
    assert_eq!(balance(&commands, "kim").await, Ok(Some(5)), "the service goes on");
    nothing_is_parked(&queries).await;
    store.is_full.store(false, SeqCst);
    until("the projection goes on", async || balance(&queries, "kim").await == Ok(Some(5))).await;
}

mod brittle {
    use super::{
        AccountEvent, Change, Deserialize, HandlerResult, Infallible, Query, Recorded, Serialize, View, Views, handler,
        projection,
    };
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
    #[view(name = "brittle", key = String)]
    pub(super) struct Brittle {
        pub(super) total: i64,
    }
    #[projection(name = "brittle")]
    fn brittle(event: &Recorded<AccountEvent>) -> Change<Brittle> {
        let id = event.aggregate_id.clone();
        match event.event.clone() {
            AccountEvent::Paid { amount: 13 } => panic!("seeded: thirteen"),
            AccountEvent::Paid { amount } => Brittle::update(id, move |brittle| brittle.total += amount),
            _ => Brittle { total: 0 }.put(id),
        }
    }
    #[derive(Clone, Query)]
    pub(super) struct FindBrittle(pub(super) String);
    #[handler]
    async fn find_brittle(query: FindBrittle, all: Views<Brittle>) -> HandlerResult<Option<Brittle>, Infallible> {
        Ok(all.find(&query.0).await?)
    }
}

async fn held() {
    let (database, store) = (Database::default(), Store::new(Arc::new(Memory::new())));
    let commands = started(service(database.clone())).await;
    opened(&commands, "kim").await;
    for amount in [1, 2, 13, 4] {
        paid_in(&commands, "kim", amount).await;
    }
    let builder = service(database.clone()).discover_part("it::query_side::brittle").query_side(store.clone());
    let queries = builder.build().expect("the app builds");
    queries.migrate().await.expect("the store is prepared");
    let mut followers = queries.query_followers();
    let brittle = followers.iter_mut().find(|follower| follower.name() == "projection/brittle");
    let brittle = brittle.expect("the projection has a follower");
    for _ in 0..2 {
        brittle.step().await.expect("the events before it are applied");
    }
    for _ in 0..20 {
        let fault = brittle.step().await.expect_err("the projection waits at the event");
        assert!(fault.to_string().starts_with("projection brittle cannot apply event"), "{fault}");
    }
    nothing_is_parked(&queries).await;
    let lag = queries.lag().await.expect("the lag can be read");
    assert_eq!(lag.get("projection/brittle"), Some(&2), "{lag:?}");
    let error = queries.send(brittle::FindBrittle("kim".into())).await.expect_err("the view is not filled");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

mod other {
    use super::{AccountEvent, Change, Recorded, projection};
    use crate::bank::Card;
    /// Another projection of the bank's view.
    #[projection(name = "card-greeting")]
    fn greeting(event: &Recorded<AccountEvent>) -> Change<Card> {
        match event.event.clone() {
            AccountEvent::Opened { name } => Change::none().and(event.aggregate_id.clone(), move |found| {
                found.map(|card| Card { name: format!("dear {name}"), ..card })
            }),
            _ => Change::none(),
        }
    }
}

async fn other_program() {
    let (database, store) = (Database::default(), Store::new(Arc::new(Memory::new())));
    let (commands, old) = both(&database, &store).await;
    opened(&commands, "kim").await;
    settle(&[&commands, &old]).await;
    let new = service(database.clone()).discover_part("it::query_side::other").query_side(store.clone());
    let new = started(new).await;
    paid_in(&commands, "kim", 5).await;
    settle(&[&commands, &old, &new]).await;
    let name = async |app: &App| {
        let found = app.send(FindCard("kim".into())).await.expect("the query succeeds");
        found.map(|card| (card.name, card.balance))
    };
    assert_eq!(name(&old).await, Some(("name of kim".into(), 5)));
    let of_new = name(&new).await.expect("the card exists");
    assert_eq!(of_new.1, 5, "each event is applied once to each copy");
}

async fn epoch() {
    let (database, store) = (Database::default(), Store::new(Arc::new(Memory::new())));
    let (commands, queries) = both(&database, &store).await;
    opened(&commands, "kim").await;
    settle(&[&commands, &queries]).await;
    assert!(queries.stop().await && commands.stop().await);
    a_second().await;
    // A restored database has other events at the same positions.
    let restored = Database::default();
    let commands = started(service(restored.clone())).await;
    commands.renew_epoch().await.expect("a new epoch begins");
    opened(&commands, "lee").await;
    let queries = started(service(restored.clone()).query_side(store.clone())).await;
    settle(&[&commands, &queries]).await;
    assert_eq!((balance(&queries, "kim").await, balance(&queries, "lee").await), (Ok(None), Ok(Some(0))));
}

/// Waits, so that the next epoch is later: one second has several in any order.
async fn a_second() {
    tokio::time::sleep(Duration::from_millis(1_100)).await;
}

async fn later_epoch() {
    let (old, database, store) = (Database::default(), Database::default(), Store::new(Arc::new(Memory::new())));
    assert!(started(service(old.clone())).await.stop().await);
    a_second().await;
    let commands = started(service(database.clone())).await;
    commands.renew_epoch().await.expect("a new epoch begins");
    assert!(started(service(database.clone()).query_side(store.clone())).await.stop().await);
    let queries = service(old).query_side(store).build().expect("the app builds");
    let fault = queries.start().await.expect_err("the start is refused");
    assert!(fault.to_string().contains("later epoch"), "{fault}");
}

async fn foreign() {
    let (database, store) = (Database::default(), Store::new(Arc::new(Memory::new())));
    assert!(started(service(database.clone())).await.stop().await);
    let other = App::builder("other").discover_part("it::bank").aggregate(StateStored::<Account>::new());
    let queries = other.storage(database).query_side(store).build().expect("the app builds");
    let fault = queries.start().await.expect_err("the start is refused");
    assert_eq!(fault.to_string(), "the database belongs to another service");
}

async fn cleared() {
    let (database, store) = (Database::default(), Store::new(Arc::new(Memory::new())));
    let (commands, queries) = both(&database, &store).await;
    opened(&commands, "kim").await;
    paid_in(&commands, "kim", 5).await;
    settle(&[&commands, &queries]).await;
    queries.clear_query_side().await.expect("the views can be cleared");
    until("the views are filled again", async || balance(&queries, "kim").await == Ok(Some(5))).await;
    assert_eq!(queries.send(CountCards).await.expect("the cards can be counted"), 1);
}

mod payments {
    use super::{
        Change, Deserialize, HandlerResult, Infallible, Query, Recorded, Serialize, View, Views, handler, projection,
    };
    use crate::bank::PaymentMade;
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
    #[view(name = "payment-count", key = String)]
    pub(super) struct PaymentCount {
        pub(super) count: u64,
    }
    #[projection(name = "payment-count")]
    fn payment_count(event: &Recorded<PaymentMade>) -> Change<PaymentCount> {
        Change::none().and(event.event.id.clone(), |found| {
            Some(PaymentCount { count: found.map_or(0, |found: PaymentCount| found.count) + 1 })
        })
    }
    #[derive(Clone, Query)]
    pub(super) struct CountPayments(pub(super) String);
    #[handler]
    async fn count_payments(
        query: CountPayments,
        counts: Views<PaymentCount>,
    ) -> HandlerResult<Option<PaymentCount>, Infallible> {
        Ok(counts.find(&query.0).await?)
    }
}

async fn on_topic() {
    let (database, store) = (Database::default(), Store::new(Arc::new(Memory::new())));
    let commands = started(service(database.clone())).await;
    opened(&commands, "kim").await;
    let builder = service(database.clone()).discover_part("it::query_side::payments").query_side(store);
    let queries = started(builder).await;
    let error = queries.send(payments::CountPayments("kim".into())).await.expect_err("the view is not there");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("payment-count is not on the query side"), "{error}");
    until("other views are there", async || balance(&queries, "kim").await == Ok(Some(0))).await;
}
