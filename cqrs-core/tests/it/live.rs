//! Live queries: the first answer, then every change once; and lists as streams of pages.
use crate::{
    bank::{AccountEvent, Card, PaymentMade, bank, on_each, opened, paid_in},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    Answers, App, AppBuilder, Change, Fault, HandlerResult, Infallible, Live, LivePage, Metadata, Page, Query,
    Recorded, ResumeToken, RetryPolicy, Update, View, Views,
    app::DRAIN,
    handler, projection,
    storage::{Memory, Scan, Scanned, Storage, StoredView},
    testing::{StorageLayer, TestApp},
};
use futures_util::future::BoxFuture;
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("live: a change during the first read follows the first answer", change_during_the_first_read),
        trial("live: a change by another process reaches the subscriber", other_process),
        trial("live: an event that was parked is an update once it is redelivered", redelivered),
        trial("live: an event that another process redelivers is an update", redelivered_elsewhere),
        trial("live: a view that is rebuilt, here or by another process, is an update", rebuilt),
        trial("live: a change of a view that a topic updates is an update", of_topic),
        trial("live: the live queries of a process look for changes by other processes as one", one_poll),
        trial("live: the stream ends when the app stops", stop),
        trial("live: the streams end before a server that waits for them", ended),
        trial("live: a fault of the database ends the stream", fault),
        trial("live: a long list is read page by page, each when it is asked for", long_list),
    ];
    trials.extend(on_each("live: the first answer is followed by the changes of its key", key));
    trials.extend(on_each("live: a page names the values that are new or have left it", page));
    trials.extend(on_each("live: a change of another key is no update", other_key));
    trials.extend(on_each("live: a subscriber resumes after the answer that it has", resume));
    trials.extend(on_each("live: a slow subscriber gets the newest answer and the number of skipped ones", slow));
    trials
}

/// Less than the time after which a live query reads its answer again without a sign of a change.
const SOON: Duration = Duration::from_secs(4);

mod queries {
    use super::{Answers, Card, HandlerResult, Infallible, Live, LivePage, Page, Query, ResumeToken, Views, handler};
    #[derive(Clone, Query)]
    pub(super) struct WatchCard(pub(super) String, pub(super) Option<ResumeToken>);
    #[handler]
    async fn watch_card(query: WatchCard, cards: Views<Card>) -> HandlerResult<Live<Option<Card>>, Infallible> {
        Ok(cards.watch(&query.0, query.1.as_ref()).await?)
    }
    #[derive(Clone, Query)]
    pub(super) struct WatchRichest(pub(super) usize);
    #[handler]
    async fn watch_richest(query: WatchRichest, cards: Views<Card>) -> HandlerResult<Live<LivePage<Card>>, Infallible> {
        Ok(cards.watch_page(Card::richest(), query.0, None).await?)
    }
    #[derive(Clone, Query)]
    pub(super) struct AllCards(pub(super) usize);
    #[handler]
    async fn all_cards(query: AllCards, cards: Views<Card>) -> HandlerResult<Answers<Page<Card>>, Infallible> {
        Ok(cards.pages(Card::richest(), query.0))
    }
}
use queries::{AllCards, WatchCard, WatchRichest};

fn discovered(app: AppBuilder) -> AppBuilder {
    app.discover_part("it::live::queries")
}
async fn started(app: AppBuilder) -> TestApp {
    TestApp::start(discovered(app)).await.expect("the app starts")
}
async fn watch(app: &App, id: &str, resume: Option<ResumeToken>) -> Live<Option<Card>> {
    app.send(WatchCard(id.into(), resume)).await.expect("the live query begins")
}
async fn next<T: Send + 'static>(live: &mut Live<T>) -> Update<T> {
    let next = tokio::time::timeout(SOON, live.next()).await.expect("an update comes soon");
    next.expect("the stream goes on").expect("the update is no fault")
}
async fn is_quiet<T: Send + 'static>(live: &mut Live<T>) -> bool {
    tokio::time::timeout(Duration::from_millis(300), live.next()).await.is_err()
}
fn balance(update: &Update<Option<Card>>) -> Option<i64> {
    update.answer.as_ref().map(|card| card.balance)
}

async fn key(app: AppBuilder) {
    let app = started(app).await;
    let mut live = watch(&app, "kim", None).await;
    let first = next(&mut live).await;
    assert_eq!((balance(&first), first.is_first, first.skipped), (None, true, 0));
    opened(&app, "kim").await;
    let update = next(&mut live).await;
    assert_eq!((balance(&update), update.is_first, update.skipped), (Some(0), false, 0));
    for expected in 1..=20 {
        paid_in(&app, "kim", 1).await;
        let update = next(&mut live).await;
        assert_eq!((balance(&update), update.is_first), (Some(expected), false));
    }
    assert!(app.stop().await);
}

async fn page(app: AppBuilder) {
    let app = started(app).await;
    for (id, amount) in [("a", 3), ("b", 2), ("c", 1)] {
        opened(&app, id).await;
        paid_in(&app, id, amount).await;
    }
    let mut live = app.send(WatchRichest(2)).await.expect("the live query begins");
    let names = |update: &Update<LivePage<Card>>| -> Vec<String> {
        update.answer.page.items.iter().map(|card| card.name.clone()).collect()
    };
    let first = next(&mut live).await;
    assert_eq!(names(&first), ["name of a", "name of b"]);
    assert_eq!((&*first.answer.changed, first.answer.removed.len(), first.is_first), (&[0, 1][..], 0, true));
    assert!(first.answer.page.next.is_some());
    paid_in(&app, "c", 9).await;
    let update = next(&mut live).await;
    assert_eq!(names(&update), ["name of c", "name of a"]);
    assert_eq!((&*update.answer.changed, &*update.answer.removed), (&[0][..], &["b".to_owned()][..]));
    assert!(!update.is_first);
    assert!(app.stop().await);
}

async fn other_key(app: AppBuilder) {
    let app = started(app).await;
    opened(&app, "kim").await;
    let mut live = watch(&app, "kim", None).await;
    assert!(next(&mut live).await.is_first);
    opened(&app, "lee").await;
    paid_in(&app, "lee", 7).await;
    app.settle().await;
    assert!(is_quiet(&mut live).await, "the answer is the same");
    paid_in(&app, "kim", 5).await;
    let update = next(&mut live).await;
    assert_eq!((balance(&update), update.skipped), (Some(5), 0));
    assert!(app.stop().await);
}

async fn resume(app: AppBuilder) {
    let app = started(app).await;
    opened(&app, "kim").await;
    let first = next(&mut watch(&app, "kim", None).await).await;
    // The token travels as text.
    let token = first.resume.to_string().parse().expect("the text of a token is a token");
    let mut live = watch(&app, "kim", Some(token)).await;
    assert!(is_quiet(&mut live).await, "the subscriber has the first answer");
    paid_in(&app, "kim", 5).await;
    let update = next(&mut live).await;
    assert_eq!((balance(&update), update.is_first, update.skipped), (Some(5), false, 0));
    assert!(update.resume.position() > first.resume.position());
    // A subscriber that has missed the change gets a first answer at once.
    let update = next(&mut watch(&app, "kim", Some(token)).await).await;
    assert_eq!((balance(&update), update.is_first), (Some(5), true));
    assert!(app.stop().await);
}

async fn slow(app: AppBuilder) {
    let app = started(app).await;
    opened(&app, "kim").await;
    let mut live = watch(&app, "kim", None).await;
    assert!(next(&mut live).await.is_first);
    for _ in 0..6 {
        paid_in(&app, "kim", 1).await;
        app.settle().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let update = next(&mut live).await;
    assert_eq!((balance(&update), update.is_first), (Some(6), false));
    // On a busy machine the live query itself may have read some changes together.
    assert!((1..=5).contains(&update.skipped), "{update:?}");
    assert!(is_quiet(&mut live).await, "nothing is left of the skipped answers");
    paid_in(&app, "kim", 1).await;
    assert_eq!(next(&mut live).await.skipped, 0, "the subscriber keeps up again");
    assert!(app.stop().await);
}

/// A storage that other processes use as well, and whose reads a test holds, counts or refuses.
#[derive(Clone, Default)]
struct Probed {
    memory: Memory,
    checkpoints: Arc<AtomicUsize>,
    values: Arc<AtomicUsize>,
    holds_next: Arc<AtomicBool>,
    is_held: Arc<Notify>,
    goes_on: Arc<Notify>,
    refuses: Arc<AtomicBool>,
    scans: Arc<AtomicUsize>,
    longest: Arc<AtomicUsize>,
}
#[async_trait]
impl StorageLayer for Probed {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    fn is_exclusive(&self) -> bool {
        false
    }
    async fn checkpoints(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        self.checkpoints.fetch_add(1, Ordering::SeqCst);
        self.memory.checkpoints(readers).await
    }
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        self.values.fetch_add(1, Ordering::SeqCst);
        let found = self.memory.views(view, keys).await;
        if self.holds_next.swap(false, Ordering::SeqCst) {
            self.is_held.notify_one();
            self.goes_on.notified().await;
        }
        found
    }
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        self.scans.fetch_add(1, Ordering::SeqCst);
        self.longest.fetch_max(scan.limit, Ordering::SeqCst);
        if self.refuses.load(Ordering::SeqCst) {
            return Err(Fault::unavailable("the test refuses scans"));
        }
        self.memory.scan(scan).await
    }
}

async fn change_during_the_first_read() {
    let storage = Probed::default();
    let app = started(bank(storage.clone())).await;
    opened(&app, "kim").await;
    app.settle().await;
    storage.holds_next.store(true, Ordering::SeqCst);
    let watching = tokio::spawn({
        let app = App::clone(&app);
        async move { watch(&app, "kim", None).await }
    });
    storage.is_held.notified().await;
    paid_in(&app, "kim", 5).await;
    app.settle().await;
    // The follower has committed, and wakes the live queries a moment later.
    tokio::time::sleep(Duration::from_millis(100)).await;
    storage.goes_on.notify_one();
    let mut live = watching.await.expect("the query does not panic");
    // The task of the live query may have read the change before the subscriber asks for the first answer.
    let first = next(&mut live).await;
    let last = if balance(&first) == Some(5) { first } else { next(&mut live).await };
    assert_eq!(balance(&last), Some(5));
    assert!(app.stop().await);
}

/// Simulates two processes on one database. Only the stored checkpoint shows the progress of the other one.
async fn other_process() {
    let storage = Probed::default();
    let writer = bank(storage.memory.clone()).build().expect("the app builds");
    let reader = discovered(bank(storage)).build().expect("the app builds");
    opened(&writer, "kim").await;
    let mut live = watch(&reader, "kim", None).await;
    assert_eq!(balance(&next(&mut live).await), None);
    for mut follower in writer.log_followers() {
        let _ = follower.step().await.expect("the event is applied");
    }
    let update = next(&mut live).await;
    assert_eq!((balance(&update), update.is_first), (Some(0), false));
}

/// Two processes commit payments and project them beside each other. Every subscriber ends with the last balance, and no
/// balance is repeated or goes back.
#[cfg(feature = "postgres")]
pub(crate) async fn in_two_processes(one: impl Storage, other: impl Storage) {
    let (one, other) = (started(bank(one)).await, started(bank(other)).await);
    opened(&one, "kim").await;
    one.settle().await;
    let mut subscribers = [watch(&one, "kim", None).await, watch(&other, "kim", None).await];
    for _ in 0..20 {
        paid_in(&one, "kim", 1).await;
        paid_in(&other, "kim", 1).await;
    }
    for live in &mut subscribers {
        let mut last = None;
        while last != Some(40) {
            let next = balance(&next(live).await);
            assert!(next > last, "{next:?} follows {last:?}");
            last = next;
        }
        assert!(is_quiet(live).await, "the last balance is not repeated");
    }
    assert!(one.stop().await && other.stop().await);
}

/// The accounts whose payments of 13 the projection accepts.
static LUCKY: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// Whether the projection has another form for the account `park`.
static REBUILT: AtomicBool = AtomicBool::new(false);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "newest-payment", key = String)]
struct NewestPayment {
    amount: i64,
}

mod newest_payments {
    use super::{
        AccountEvent, Change, HandlerResult, Infallible, LUCKY, Live, NewestPayment, Ordering, Query, REBUILT,
        Recorded, View, Views, handler, projection,
    };
    #[projection(name = "newest-payment")]
    fn newest_payment(event: &Recorded<AccountEvent>) -> Change<NewestPayment> {
        let AccountEvent::Paid { amount } = event.event else { return Change::none() };
        let amount = if REBUILT.load(Ordering::SeqCst) && event.aggregate_id == "park" { -amount } else { amount };
        let is_lucky = LUCKY.lock().is_ok_and(|lucky| lucky.contains(&event.aggregate_id));
        assert!(amount != 13 || is_lucky, "seeded: 13");
        NewestPayment { amount }.put(event.aggregate_id.clone())
    }
    #[derive(Clone, Query)]
    pub(super) struct WatchNewest(pub(super) String);
    #[handler]
    async fn watch_newest(
        query: WatchNewest,
        payments: Views<NewestPayment>,
    ) -> HandlerResult<Live<Option<NewestPayment>>, Infallible> {
        Ok(payments.watch(&query.0, None).await?)
    }
}

fn newest_payments(storage: impl Storage) -> AppBuilder {
    let mut retry_policy = RetryPolicy::default();
    retry_policy.attempts = 3;
    (retry_policy.first, retry_policy.longest) = (Duration::from_millis(1), Duration::from_millis(2));
    bank(storage).retry_policy(retry_policy).discover_part("it::live::newest_payments")
}
/// Pays 13 into the account of `app`, which parks the event, and redelivers it there. `live` gets it after the redelivery.
async fn park_and_redeliver(app: &TestApp, id: &str, live: &mut Live<Option<NewestPayment>>) {
    assert_eq!(next(live).await.answer, Some(NewestPayment { amount: 1 }));
    paid_in(app, id, 13).await;
    app.settle().await;
    assert!(is_quiet(live).await, "the event is parked");
    LUCKY.lock().expect("no test panics with the lock").push(id.to_owned());
    let by = Metadata::default().caller("kim, on call");
    let done = app.parked().redeliver("projection/newest-payment", &format!("account/{id}"), &by).await;
    assert_eq!(done.expect("the redelivery runs").done.len(), 1);
}

async fn redelivered() {
    let app = started(newest_payments(Memory::new())).await;
    opened(&app, "kim").await;
    paid_in(&app, "kim", 1).await;
    let mut live = app.send(newest_payments::WatchNewest("kim".into())).await.expect("the live query begins");
    park_and_redeliver(&app, "kim", &mut live).await;
    assert_eq!(next(&mut live).await.answer, Some(NewestPayment { amount: 13 }));
    assert!(app.stop().await);
}

/// The follower of the subscriber's process has passed the record of the redelivery, which it does not handle, so no checkpoint
/// shows the change. This takes five seconds.
async fn redelivered_elsewhere() {
    let storage = Probed::default();
    let app = started(newest_payments(storage.memory.clone())).await;
    let other = started(newest_payments(storage)).await;
    opened(&app, "lee").await;
    paid_in(&app, "lee", 1).await;
    app.settle().await;
    let mut live = other.send(newest_payments::WatchNewest("lee".into())).await.expect("the live query begins");
    park_and_redeliver(&app, "lee", &mut live).await;
    let update = tokio::time::timeout(Duration::from_secs(30), live.next()).await.expect("an update comes");
    let update = update.expect("the stream goes on").expect("the update is no fault");
    assert_eq!(update.answer, Some(NewestPayment { amount: 13 }));
    assert!(app.stop().await && other.stop().await);
}

/// The other process learns of the switch within five seconds.
async fn rebuilt() {
    let storage = Probed::default();
    let app = started(newest_payments(storage.memory.clone())).await;
    let other = started(newest_payments(storage)).await;
    opened(&app, "park").await;
    paid_in(&app, "park", 1).await;
    app.settle().await;
    let query = newest_payments::WatchNewest("park".into());
    let mut all = [app.send(query.clone()).await, other.send(query).await].map(|live| live.expect("it begins"));
    for live in &mut all {
        assert_eq!(next(live).await.answer, Some(NewestPayment { amount: 1 }));
    }
    REBUILT.store(true, Ordering::SeqCst);
    let rebuilt = app.rebuild("newest-payment").run().await.expect("the view is rebuilt");
    assert_eq!(rebuilt.different, 1);
    let [here, elsewhere] = &mut all;
    assert_eq!(next(here).await.answer, Some(NewestPayment { amount: -1 }));
    let update = tokio::time::timeout(Duration::from_secs(30), elsewhere.next()).await.expect("an update comes");
    let update = update.expect("the stream goes on").expect("the update is no fault");
    assert_eq!(update.answer, Some(NewestPayment { amount: -1 }));
    assert!(app.stop().await && other.stop().await);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "till", key = String)]
struct Till {
    last: i64,
}

mod tills {
    use super::{
        Change, HandlerResult, Infallible, Live, PaymentMade, Query, Recorded, Till, View, Views, handler, projection,
    };
    #[projection(name = "till")]
    fn till(event: &Recorded<PaymentMade>) -> Change<Till> {
        Till { last: event.event.amount }.put(event.event.id.clone())
    }
    #[derive(Clone, Query)]
    pub(super) struct WatchTill(pub(super) String);
    #[handler]
    async fn watch_till(query: WatchTill, tills: Views<Till>) -> HandlerResult<Live<Option<Till>>, Infallible> {
        Ok(tills.watch(&query.0, None).await?)
    }
}

async fn of_topic() {
    let shop = App::builder("shop").discover_part("it::live::tills");
    let [bank, shop] = TestApp::start_all([bank(Memory::new()), shop]).await.expect("the apps start");
    let mut live = shop.send(tills::WatchTill("kim".into())).await.expect("the live query begins");
    assert_eq!(next(&mut live).await.answer, None);
    opened(&bank, "kim").await;
    for amount in [7, 9] {
        paid_in(&bank, "kim", amount).await;
        assert_eq!(next(&mut live).await.answer, Some(Till { last: amount }));
    }
    assert!(bank.stop().await && shop.stop().await);
}

/// An idle live query costs nothing: of fifty, one reads the checkpoint, twenty times a second, and none reads its answer.
async fn one_poll() {
    let storage = Probed::default();
    let app = discovered(bank(storage.clone())).build().expect("the app builds");
    let mut all = Vec::new();
    for number in 0..50 {
        let mut live = watch(&app, &number.to_string(), None).await;
        assert!(next(&mut live).await.is_first);
        all.push(live);
    }
    assert_eq!(storage.values.load(Ordering::SeqCst), 50);
    let before = storage.checkpoints.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let polls = storage.checkpoints.load(Ordering::SeqCst) - before;
    assert!((2..=25).contains(&polls), "{polls} polls");
    assert_eq!(storage.values.load(Ordering::SeqCst), 50, "no answer is read again");
    // The one that polls may be the first to go.
    drop(all.drain(..49));
    let before = storage.checkpoints.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(storage.checkpoints.load(Ordering::SeqCst) > before, "another one polls now");
}

async fn stop() {
    let app = started(bank(Memory::new())).await;
    let mut live = watch(&app, "kim", None).await;
    assert!(next(&mut live).await.is_first);
    assert!(app.stop().await);
    let end = tokio::time::timeout(SOON, live.next()).await.expect("the stream ends soon");
    assert!(end.is_none(), "{end:?}");
}

/// A gRPC server finishes its open calls, so it ends only once its streams have.
async fn ended() {
    let app = discovered(bank(Memory::new())).build().expect("the app builds");
    let serve = |stop: BoxFuture<'static, ()>| {
        let app = app.clone();
        async move {
            let mut live = watch(&app, "kim", None).await;
            assert!(next(&mut live).await.is_first);
            stop.await;
            while live.next().await.is_some() {}
            Ok::<(), Infallible>(())
        }
    };
    let began = Instant::now();
    app.run(serve, tokio::time::sleep(Duration::from_millis(300))).await.expect("the app ends");
    assert!(began.elapsed() < DRAIN - DRAIN / 5, "the server was cancelled");
}

async fn fault() {
    let storage = Probed::default();
    let app = started(bank(storage.clone())).await;
    opened(&app, "kim").await;
    let mut live = app.send(WatchRichest(5)).await.expect("the live query begins");
    assert!(next(&mut live).await.is_first);
    storage.refuses.store(true, Ordering::SeqCst);
    paid_in(&app, "kim", 5).await;
    let end = tokio::time::timeout(SOON, live.next()).await.expect("the fault comes soon");
    let fault = end.expect("the fault is returned").expect_err("the read has failed");
    assert_eq!(fault.to_string(), "the test refuses scans");
    assert!(live.next().await.is_none());
    assert!(app.stop().await);
}

async fn long_list() {
    let storage = Probed::default();
    let app = started(bank(storage.clone())).await;
    for number in 0..25 {
        opened(&app, &format!("{number:02}")).await;
    }
    let mut pages = app.send(AllCards(10)).await.expect("the stream begins");
    assert_eq!(storage.scans.load(Ordering::SeqCst), 0, "no page is read before it is asked for");
    let mut names = Vec::new();
    for read in 1..=3 {
        let page = pages.next().await.expect("there is another page").expect("the page is read");
        assert!(page.items.len() <= 10);
        assert_eq!(storage.scans.load(Ordering::SeqCst), read);
        names.extend(page.items.into_iter().map(|card| card.name));
    }
    assert!(pages.next().await.is_none());
    assert_eq!(names, (0..25).map(|number| format!("name of {number:02}")).collect::<Vec<_>>());
    assert_eq!(storage.longest.load(Ordering::SeqCst), 11, "a page and the entry after it");
    assert!(app.stop().await);
}
