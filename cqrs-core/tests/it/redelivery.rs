//! Redelivery of many parked messages: by reader, by error, or all, in the order of each key and with bounded memory.
use crate::{
    bank::{bank, on_each},
    listener::{GROUP_OF_LISTENER as GROUP, LISTENER, Script, record},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, AppBuilder, Fault, Metadata, RetryPolicy,
    app::{BulkRedelivery, ParkedSelection, SelectionError},
    storage::{Batch, CommitError, Memory, Park, Parked, ParkedKey, ParkedPage, ReadLimit, Storage},
    testing::{StorageLayer, TestApp},
    transport::{Partition, Received},
};
use futures_util::FutureExt;
use libtest_mimic::Trial;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = on_each("redelivery: all keys are handled in order, and a failing key holds up no other", all);
    trials.extend(on_each("redelivery: messages are selected by reader, error and class", selected));
    trials.extend(on_each("redelivery: a dropped redelivery goes on, and every message is handled once", dropped));
    trials.extend([
        trial("redelivery: seeded: a storage that returns parked messages out of order is caught", seeded_order),
        trial("redelivery: seeded: a storage that keeps redelivered messages parked is caught", seeded_kept),
        trial("redelivery: the rate is kept, and a stop ends it after a message", rate),
        trial("redelivery: a selection by error that was stopped within a key is continued", continued),
        trial("redelivery: keys are handled beside each other, within the rate and each in order", beside),
        trial("redelivery: two at once handle every message once", two_at_once),
        trial("redelivery: an unknown reader, contradictory filters and rate 0 are refused", refused),
        trial("redelivery: no read returns more than a page, and the progress adds up", pages),
        trial("redelivery: a follower reads a bounded number of parked keys after a lost race", bounded_filter),
    ]);
    trials
}

fn me() -> Metadata {
    Metadata::default().caller("kim, on call")
}
fn text(error: &str) -> ParkedSelection {
    let mut selection = ParkedSelection::default();
    selection.error = Some(error.to_owned());
    selection
}

/// Builds an app with a subscriber that the test scripts. No job runs.
fn app(builder: AppBuilder, script: &Arc<Script>) -> App {
    builder.discover_part(LISTENER).provide(script.clone()).build().expect("the app builds")
}
/// Parks payments of these amounts for each account, as the subscriber's group would have, with an error for each
/// account.
async fn park(app: &App, accounts: impl Iterator<Item = (String, String)>, amounts: std::ops::RangeInclusive<i64>) {
    park_for(app, GROUP, accounts, amounts).await;
}
async fn park_for(
    app: &App,
    reader: &str,
    accounts: impl Iterator<Item = (String, String)>,
    amounts: std::ops::RangeInclusive<i64>,
) {
    app.storage().migrate().await.expect("the database is migrated");
    let mut batch = Batch::default();
    for (id, error) in accounts {
        for amount in amounts.clone() {
            let payment = crate::bank::PaymentMade { id: id.clone(), amount };
            let message = Uuid::now_v7();
            let record = record(&payment, 1, message);
            let headers = record.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
            let (topic, part) = (record.topic, "0".to_owned());
            let (key, body) = (Some(record.key.into_bytes()), Some(record.body));
            let partition = Partition { topic, part };
            let received = Received { partition, offset: 1, key, headers, body, timestamp: None };
            let is_first = amount == *amounts.start();
            batch.parks.push(Park {
                reader: reader.into(),
                key: id.clone(),
                behind: false,
                message,
                at: 1,
                record: Some(received),
                error: if is_first {
                    error.clone()
                } else {
                    "waits behind the first parked message of its key".to_owned()
                },
                attempts: u32::from(is_first),
            });
        }
    }
    app.storage().commit(batch).await.expect("the messages are parked");
}
async fn parked(app: &App) -> Vec<(String, u64)> {
    let keys = app.parked().list(&ParkedPage::default()).await.expect("the parked keys can be listed");
    keys.into_iter().map(|parked| (parked.key, parked.count)).collect()
}
async fn begun(app: &App, selection: ParkedSelection) -> BulkRedelivery {
    app.parked().redeliver_selected(selection, None, &me()).await.expect("the redelivery begins")
}
async fn finished(app: &App, selection: ParkedSelection) -> cqrs_core::app::BulkProgress {
    let mut redelivery = begun(app, selection).await;
    let done = redelivery.run_until(std::future::pending(), |_| ()).await.expect("the redelivery runs");
    assert!(done.is_finished && done.left == 0, "{done:?}");
    done
}
fn ids(count: usize) -> impl Iterator<Item = (String, String)> {
    (0..count).map(|n| (format!("account {n}"), "mail is down".to_owned()))
}

async fn all(builder: AppBuilder) {
    let script = Arc::new(Script::default());
    let app = app(builder, &script);
    park(&app, ids(12), 1..=4).await;
    script.stuck(["account 5 3"]);
    let counted = app.parked().count(&ParkedSelection::default()).await.expect("the messages are counted");
    let counted: Vec<_> = counted.iter().map(|of| (&*of.reader, &*of.class, of.keys, of.messages)).collect();
    assert_eq!(counted, [(GROUP, "mail is down", 12, 48)]);
    assert!(script.handled().is_empty() && parked(&app).await.len() == 12, "a count changes nothing");

    let done = finished(&app, ParkedSelection::default()).await;
    assert_eq!((done.done, done.failed_keys), (46, 1));
    assert_eq!((&*done.failures[0].reader, done.failures[0].keys, done.failures[0].messages), (GROUP, 1, 2));
    assert!(done.failures[0].class.contains("seeded: the account is stuck"), "{}", done.failures[0].class);
    assert_eq!(parked(&app).await, [("account 5".to_owned(), 2)], "the failing key stays from the failing message on");
    for (id, _) in ids(12) {
        let expected = if id == "account 5" { vec![1, 2] } else { vec![1, 2, 3, 4] };
        assert_eq!(script.of(&id), expected, "{id} is not in order");
    }
    let mut after_failed = ParkedSelection::default();
    after_failed.after = Some((GROUP.to_owned(), "account 5".to_owned()));
    assert_eq!(finished(&app, after_failed).await.failed_keys, 0, "keys before the place are not tried again");
    script.stuck([]);
    assert_eq!(finished(&app, ParkedSelection::default()).await.done, 2);
    assert_eq!(script.of("account 5"), [1, 2, 3, 4]);
    let end = app.storage().high_water_mark().await.expect("the storage responds");
    let log =
        app.storage().log(Default::default(), end, ReadLimit::entries(usize::MAX)).await.expect("the storage responds");
    let audited = log.iter().filter(|entry| entry.name == "parked.redelivered" && entry.metadata.caller == me().caller);
    assert_eq!(audited.count(), 48, "each redelivered message has an audit event");
}

async fn selected(builder: AppBuilder) {
    let script = Arc::new(Script::default());
    let app = app(builder, &script);
    let error = |n: usize| ["mail to 17 is down", "the account is closed", "mail to 18 is down"][n % 3].to_owned();
    park(&app, (0..9).map(|n| (format!("account {n}"), error(n))), 1..=2).await;
    let of = |class: &str| {
        let mut selection = ParkedSelection::default();
        (selection.class, selection.reader) = (Some(class.to_owned()), Some(GROUP.to_owned()));
        selection
    };
    let count = async |selection: &ParkedSelection| {
        let counts = app.parked().count(selection).await.expect("the messages are counted");
        counts.into_iter().map(|of| (of.class, of.keys, of.messages)).collect::<Vec<_>>()
    };
    let mail = ("mail to * is down".to_owned(), 6, 12);
    assert_eq!(count(&ParkedSelection::default()).await, [mail.clone(), ("the account is closed".to_owned(), 3, 6)]);
    assert_eq!(count(&of("mail to * is down")).await, [mail]);
    assert_eq!(count(&text("mail to 17")).await[0].1, 3);
    assert_eq!(finished(&app, text("mail to 17")).await.done, 6);
    assert_eq!(script.of("account 0"), [1, 2]);
    assert_eq!(finished(&app, of("mail to * is down")).await.done, 6);
    assert_eq!(parked(&app).await.len(), 3);
    let mut of_reader = ParkedSelection::default();
    of_reader.reader = Some("bank.registered-elsewhere".to_owned());
    let mut other = Batch::default();
    let first = app.parked().show(GROUP, "account 1", 0, 1).await.expect("a message can be read").remove(0);
    let Parked { message, at, record, error, attempts, .. } = first;
    let reader = "bank.registered-elsewhere".to_owned();
    other.parks.push(Park { reader, key: "kim".into(), behind: false, message, at, record, error, attempts });
    app.storage().commit(other).await.expect("a message of another reader is parked");
    let done = finished(&app, of_reader.clone()).await;
    assert_eq!((done.done, done.failed_keys), (0, 1), "no handler of this service reads for that reader");
    of_reader.reader = Some(GROUP.to_owned());
    assert_eq!(finished(&app, of_reader).await.done, 6);
    assert_eq!(parked(&app).await, [("kim".to_owned(), 1)]);
}

/// Drops the future of a step after each number of polls.
async fn dropped(builder: AppBuilder) {
    let script = Arc::new(Script::default());
    let app = app(builder, &script);
    park(&app, ids(5), 1..=4).await;
    let mut redelivery = begun(&app, ParkedSelection::default()).await;
    let started = Instant::now();
    for round in 0.. {
        assert!(started.elapsed() < Duration::from_secs(60), "the redelivery does not end");
        // Begun again, as by another process, or continued.
        if round % 3 == 2 {
            redelivery = begun(&app, ParkedSelection::default()).await;
        }
        let mut step = std::pin::pin!(redelivery.step());
        let mut ended = None;
        for _ in 0..round % 40 {
            match futures_util::poll!(&mut step) {
                std::task::Poll::Ready(more) => {
                    ended = Some(more.expect("the storage responds"));
                    break;
                }
                std::task::Poll::Pending => tokio::time::sleep(Duration::from_micros(200)).await,
            }
        }
        if ended == Some(false) {
            break;
        }
    }
    assert!(parked(&app).await.is_empty());
    let end = app.storage().high_water_mark().await.expect("the storage responds");
    let log =
        app.storage().log(Default::default(), end, ReadLimit::entries(usize::MAX)).await.expect("the storage responds");
    let mut committed = BTreeMap::<String, Vec<u64>>::new();
    for entry in log.iter().filter(|entry| entry.name == "parked.redelivered") {
        let act: serde_json::Value = serde_json::from_slice(&entry.payload).expect("the audit event is JSON");
        let number = act["number"].as_u64().expect("the audit event has a number");
        committed.entry(act["key"].to_string()).or_default().push(number);
    }
    assert_eq!(committed.len(), 5);
    for (key, numbers) in committed {
        assert!(numbers.len() == 4 && numbers.is_sorted_by(|a, b| a < b), "{key}: {numbers:?}");
    }
}

/// Returns whether the guarantee of [`all`] holds on this storage.
async fn holds(storage: impl Storage) -> bool {
    let test = std::panic::AssertUnwindSafe(all(bank(storage))).catch_unwind();
    matches!(tokio::time::timeout(Duration::from_secs(5), test).await, Ok(Ok(())))
}
/// Returns the parked messages of a key with the last one first.
struct Reversed(Memory);
#[async_trait]
impl StorageLayer for Reversed {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault> {
        let mut found = self.0.parked(reader, key, if limit == 1 { 0 } else { after }, usize::MAX).await?;
        found.reverse();
        found.truncate(limit);
        Ok(found)
    }
}
async fn seeded_order() {
    assert!(holds(Memory::new()).await);
    assert!(!holds(Reversed(Memory::new())).await, "the order was not noticed");
}
/// Commits the effects of redelivered messages and leaves them parked.
struct NeverRemoved(Memory);
#[async_trait]
impl StorageLayer for NeverRemoved {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn commit(&self, batch: Batch) -> Result<cqrs_core::Position, CommitError> {
        self.0.commit(Batch { unparks: Vec::new(), ..batch }).await
    }
}
async fn seeded_kept() {
    assert!(!holds(NeverRemoved(Memory::new())).await, "messages that stay parked were not noticed");
}

async fn rate() {
    let script = Arc::new(Script::default());
    let app = app(bank(Memory::new()), &script);
    park(&app, ids(50), 1..=1).await;
    let mut redelivery =
        app.parked().redeliver_selected(ParkedSelection::default(), Some(20), &me()).await.expect("it begins");
    let (started, mut reports) = (Instant::now(), 0);
    let stop = tokio::time::sleep(Duration::from_millis(500));
    let stopped = redelivery.run_until(stop, |_| reports += 1).await.expect("the redelivery runs");
    let most = 1 + started.elapsed().as_millis() as u64 / 50;
    assert!(!stopped.is_finished && (1..=most).contains(&stopped.done), "{stopped:?}, at most {most}");
    assert_eq!((stopped.done + stopped.left, reports), (50, stopped.done));
    assert_eq!(script.handled().len() as u64, stopped.done);
    let rest = finished(&app, ParkedSelection::default()).await;
    assert_eq!(stopped.done + rest.done, 50, "handled messages stay handled");
}

/// The first message of the key has the error that selects it. Once it is handled, the others wait behind no message.
async fn continued() {
    let script = Arc::new(Script::default());
    let app = app(bank(Memory::new()), &script);
    park(&app, ids(1), 1..=4).await;
    let slowly = app.parked().redeliver_selected(text("mail"), Some(1), &me()).await;
    assert!(slowly.expect("it begins").step().await.expect("the redelivery runs"));
    assert_eq!(script.of("account 0"), [1], "the rate lets no second message through at once");
    assert_eq!(finished(&app, text("mail")).await.done, 3);
    assert_eq!(script.of("account 0"), [1, 2, 3, 4]);
}

mod meeting {
    use crate::{
        bank::PaymentMade,
        listener::{Script, lock},
    };
    use cqrs_core::{BoxError, Dep, Recorded, subscriber};
    use std::{collections::BTreeSet, sync::Mutex};

    /// The messages of four keys, each of which waits for those of the three others.
    pub(super) struct Meeting {
        pub(super) barrier: tokio::sync::Barrier,
        pub(super) script: Script,
        /// The keys with a message in progress.
        pub(super) present: Mutex<BTreeSet<String>>,
    }
    #[subscriber(group = "bank.meeting")]
    async fn meet(event: Recorded<PaymentMade>, meeting: Dep<Meeting>) -> Result<(), BoxError> {
        assert!(lock(&meeting.present).insert(event.event.id.clone()), "two messages of a key are handled at once");
        meeting.barrier.wait().await;
        lock(&meeting.present).remove(&event.event.id);
        meeting.script.handle(&event.event.id, event.amount)
    }
}
/// Each message waits until messages of four keys are in progress.
async fn beside() {
    let (barrier, script) = (tokio::sync::Barrier::new(4), Script::default());
    let meeting = Arc::new(meeting::Meeting { barrier, script, present: Default::default() });
    let mut retry_policy = RetryPolicy::default();
    retry_policy.time_limit = Duration::from_secs(5);
    let builder = bank(Memory::new()).discover_part("it::redelivery::meeting").provide(meeting.clone());
    let app = builder.retry_policy(retry_policy).build().expect("the app builds");
    park_for(&app, "bank.meeting", ids(4), 1..=5).await;
    let started = Instant::now();
    let mut redelivery =
        app.parked().redeliver_selected(ParkedSelection::default(), Some(100), &me()).await.expect("it begins");
    let done = redelivery.run_until(std::future::pending(), |_| ()).await.expect("the redelivery runs");
    assert_eq!((done.done, done.failed_keys, done.left, done.is_counted), (20, 0, 0, true), "{done:?}");
    assert!(started.elapsed() >= Duration::from_millis(190), "20 messages at 100 per second: {:?}", started.elapsed());
    for (id, _) in ids(4) {
        assert_eq!(meeting.script.of(&id), [1, 2, 3, 4, 5], "{id} is not in order");
    }
    assert_eq!(done.after, Some(("bank.meeting".to_owned(), "account 3".to_owned())));
}

async fn two_at_once() {
    let script = Arc::new(Script::default());
    let app = app(bank(Memory::new()), &script);
    park(&app, ids(40), 1..=5).await;
    let (a, b) = tokio::join!(finished(&app, ParkedSelection::default()), finished(&app, ParkedSelection::default()));
    assert_eq!((a.done + b.done, a.failed_keys + b.failed_keys), (200, 0));
    assert!(parked(&app).await.is_empty());
}

async fn refused() {
    let app = app(bank(Memory::new()), &Arc::new(Script::default()));
    let begin = async |selection: ParkedSelection, rate| {
        let begun = app.parked().redeliver_selected(selection, rate, &me()).await;
        begun.expect_err("the redelivery is refused")
    };
    let mut unknown = ParkedSelection::default();
    unknown.reader = Some("bank.nobody".to_owned());
    let error = begin(unknown.clone(), None).await;
    assert!(error.to_string().contains("there is no reader `bank.nobody`") && error.to_string().contains(GROUP));
    assert!(matches!(error, SelectionError::UnknownReader { .. }));
    assert!(matches!(app.parked().count(&unknown).await, Err(SelectionError::UnknownReader { .. })));
    let mut both = text("down");
    both.class = Some("down".to_owned());
    assert!(matches!(begin(both, None).await, SelectionError::Contradictory("error", "class")));
    let mut elsewhere = ParkedSelection::default();
    (elsewhere.reader, elsewhere.after) = (Some(GROUP.to_owned()), Some(("other".to_owned(), "kim".to_owned())));
    assert!(matches!(begin(elsewhere, None).await, SelectionError::Contradictory("reader", "after")));
    assert!(matches!(begin(text(""), None).await, SelectionError::Empty("error")));
    assert!(matches!(begin(ParkedSelection::default(), Some(0)).await, SelectionError::ZeroRate));
}

/// Records the largest number of rows of a read of parked messages, and counts the reads of keys.
#[derive(Clone)]
struct Measured {
    memory: Memory,
    largest: Arc<AtomicUsize>,
    looked_up: Arc<AtomicUsize>,
    /// The number of reads of keys.
    read: Arc<AtomicUsize>,
    /// The number of moves of a projection's checkpoint that are refused next, as if another process had been faster.
    lost: Arc<AtomicUsize>,
}
impl Measured {
    fn new() -> Self {
        let (largest, looked_up) = Default::default();
        Measured { memory: Memory::new(), largest, looked_up, read: Default::default(), lost: Default::default() }
    }
}
#[async_trait]
impl StorageLayer for Measured {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault> {
        let found = self.memory.parked(reader, key, after, limit).await?;
        self.largest.fetch_max(found.len(), SeqCst);
        Ok(found)
    }
    async fn parked_keys(&self, page: &ParkedPage<'_>) -> Result<Vec<ParkedKey>, Fault> {
        let found = self.memory.parked_keys(page).await?;
        self.read.fetch_add(1, SeqCst);
        self.largest.fetch_max(found.len(), SeqCst);
        Ok(found)
    }
    async fn commit(&self, batch: Batch) -> Result<cqrs_core::Position, CommitError> {
        if batch.checkpoint_moves.iter().any(|moved| moved.reader.starts_with("projection/"))
            && self.lost.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok()
        {
            return Err(CommitError::Moved("projection".to_owned()));
        }
        self.memory.commit(batch).await
    }
    async fn first_parked(&self, reader: &str, keys: &[String]) -> Result<Vec<(String, String)>, Fault> {
        self.looked_up.fetch_add(1, SeqCst);
        self.memory.first_parked(reader, keys).await
    }
}

async fn pages() {
    let (script, storage) = (Arc::new(Script::default()), Measured::new());
    let app = app(bank(storage.clone()), &script);
    park(&app, ids(1_200), 1..=1).await;
    park(&app, [("kim".to_owned(), "down".to_owned())].into_iter(), 1..=1_500).await;
    let mut redelivery = begun(&app, ParkedSelection::default()).await;
    let mut steps = 0;
    while redelivery.step().await.expect("the storage responds") {
        steps += 1;
        let progress = redelivery.progress();
        assert_eq!((progress.done, progress.done + progress.left), (steps, 2_700));
    }
    assert_eq!(script.of("kim"), (1..=1_500).collect::<Vec<_>>());
    assert!(parked(&app).await.is_empty());
    let largest = storage.largest.load(SeqCst);
    assert!(largest <= 500, "a read returned {largest} rows");

    park(&app, [("lee".to_owned(), "down".to_owned())].into_iter(), 1..=1_500).await;
    let one = app.parked().redeliver(GROUP, "lee", &me()).await.expect("the redelivery runs");
    assert_eq!((one.count, one.done.len()), (1_500, 1_000), "the list of a result is bounded");
}

/// Parks 1,000 events of the reader `projection/card` by hand, and lets lost races make the follower read them again.
async fn bounded_filter() {
    let storage = Measured::new();
    let mut batch = Batch::default();
    for n in 0..1_000 {
        let (reader, key) = ("projection/card".to_owned(), format!("account/{n}"));
        let error = "seeded".to_owned();
        let message = Uuid::now_v7();
        batch.parks.push(Park { reader, key, behind: false, message, at: 0, record: None, error, attempts: 1 });
    }
    storage.memory.commit(batch).await.expect("the messages are parked");
    storage.lost.store(3, SeqCst);
    let mut retry_policy = RetryPolicy::default();
    (retry_policy.first, retry_policy.longest) = (Duration::from_millis(1), Duration::from_millis(2));
    let app = TestApp::start(bank(storage.clone()).retry_policy(retry_policy)).await.expect("the app starts");
    for id in ["3", "999", "kim", "500"] {
        crate::bank::opened(&app, id).await;
    }
    app.settle().await;
    let largest = storage.largest.load(SeqCst);
    assert!(largest <= 257, "a read returned {largest} rows");
    assert!(storage.looked_up.load(SeqCst) > 0, "no key was looked up");
    assert!(storage.lost.load(SeqCst) == 0 && storage.read.load(SeqCst) >= 3, "the keys were not read again");
    for (id, count) in [("3", 2), ("999", 2), ("500", 2), ("kim", 0), ("4", 1)] {
        let key = format!("account/{id}");
        let found = storage.memory.parked("projection/card", &key, 0, 9).await.expect("memory responds");
        assert_eq!(found.len(), count, "{key}: an event did not wait behind the parked one of its key");
    }
    assert!(app.stop().await);
}
