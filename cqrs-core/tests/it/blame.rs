//! Blame: one event that cannot be applied costs only itself and the later events of its key, whatever the database or
//! the code does with it.
use crate::{
    bank::{AccountEvent, Pay, PaymentMade, Rename, bank, on_each, opened, paid_in},
    listener::{Scripted, record},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, AppBuilder, Change, ConsistencyToken, ErrorKind, Fault, HandlerResult, Infallible, Metadata, Position, Query,
    Recorded, Timestamp, View, Views,
    consumer::LogFollower,
    event::NewEntry,
    handler,
    job::Step,
    projection,
    storage::{Batch, CommitError, Memory, Park, Parked, ParkedKey, ParkedPage, Storage},
    testing::StorageLayer,
    transport::{Partition, Received, Signal},
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = on_each(
        "blame: of one batch every event that cannot be applied is parked, and the others are applied",
        several,
    );
    trials.extend(on_each(
        "blame: a view write that the database refuses without a reason parks its event and no other",
        refused,
    ));
    trials.extend([
        trial("blame: on a topic, every record of a batch that cannot be applied is parked", topic_several),
        trial(
            "blame: of one batch every event that cannot be decoded is parked, on the log and on a topic",
            undecodable,
        ),
        trial("blame: on a topic, a view write that the database refuses parks its record and no other", topic_refused),
        trial("blame: a read of a value that lacks a parked event is unavailable, and others are not", parked_read),
        trial("blame: a read with a token asks for the parked events of its aggregates alone", few_read),
        trial("blame: a batch that takes the database too long is applied in parts, and nothing is parked", slow),
    ]);
    trials
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "badge", key = String)]
struct Badge {
    paid: i64,
}
mod badges {
    use super::{AccountEvent, Badge, Change, PaymentMade, Recorded, View, projection};
    /// The name of the account becomes a key of the view, so that a test can choose one that no database stores.
    #[projection(name = "badge")]
    fn badge(event: &Recorded<AccountEvent>) -> Change<Badge> {
        match &event.event {
            AccountEvent::Opened { name } | AccountEvent::Renamed { name } => Badge { paid: 0 }.put(name.clone()),
            AccountEvent::Paid { amount } => {
                assert!(*amount != 13, "seeded: 13");
                Badge { paid: *amount }.put(event.aggregate_id.clone())
            }
        }
    }
    #[projection(name = "topic-badge")]
    fn topic_badge(event: &PaymentMade) -> Change<Badge> {
        assert!(event.amount != 13, "seeded: 13");
        Badge { paid: event.amount }.put(event.id.clone())
    }
}
const BADGES: &str = "it::blame::badges";
const LOG: &str = "projection/badge";

fn follower(app: &App) -> LogFollower {
    let found = app.log_followers().into_iter().find(|follower| follower.name() == LOG);
    found.expect("the projection is discovered")
}
/// Steps until the end of the log and returns the number of steps that failed.
async fn caught_up(follower: &mut LogFollower) -> usize {
    let mut failed = 0;
    for _ in 0..200 {
        match follower.step().await {
            Ok(Step::Idle(_) | Step::IdleFor(..) | Step::Paused(_)) => return failed,
            Ok(Step::Did(_)) => (),
            Err(_) => failed += 1,
        }
    }
    panic!("the follower makes no progress: {follower:?}");
}
/// Returns the number of parked messages of each key.
async fn parked(app: &App) -> Vec<(String, u64)> {
    let keys = app.parked().list(&Default::default()).await.expect("the parked keys can be listed");
    keys.into_iter().map(|parked| (parked.key, parked.count)).collect()
}
async fn paid(app: &App, key: &str) -> Option<i64> {
    let found = app.storage().views("badge", &[key.to_owned()]).await.expect("the storage responds").pop();
    let value = found.and_then(|view| view.value)?;
    Some(serde_json::from_slice::<Badge>(&value).expect("the view can be decoded").paid)
}
fn ids() -> Vec<String> {
    (0..40).map(|number| format!("id{number:02}")).collect()
}

async fn several(app: AppBuilder) {
    let app = app.discover_part(BADGES).build().expect("the app builds");
    for id in ids() {
        opened(&app, &id).await;
    }
    for id in ids() {
        let faulty = ["id07", "id08", "id31"].contains(&&*id);
        paid_in(&app, &id, if faulty { 13 } else { 5 }).await;
        paid_in(&app, &id, 6).await;
    }
    let mut follower = follower(&app);
    caught_up(&mut follower).await;
    assert_eq!(parked(&app).await, ["id07", "id08", "id31"].map(|id| (format!("account/{id}"), 2)));
    for id in ids() {
        let expected = if ["id07", "id08", "id31"].contains(&&*id) { None } else { Some(6) };
        assert_eq!(paid(&app, &id).await, expected, "{id}");
    }
}

mod queries {
    use super::{Badge, HandlerResult, Infallible, Query, Views, handler};
    #[derive(Clone, Query)]
    pub(super) struct FindBadge {
        pub(super) key: String,
        pub(super) eventually: bool,
    }
    #[handler]
    async fn find_badge(query: FindBadge, badges: Views<Badge>) -> HandlerResult<Option<Badge>, Infallible> {
        let badges = if query.eventually { badges.eventually() } else { badges };
        Ok(badges.find(&query.key).await?)
    }
    #[derive(Clone, Query)]
    pub(super) struct FindBadges(pub(super) [&'static str; 2]);
    #[handler]
    async fn find_badges(query: FindBadges, badges: Views<Badge>) -> HandlerResult<usize, Infallible> {
        Ok(badges.find_all(&query.0.map(str::to_owned)).await?.into_iter().flatten().count())
    }
}
use queries::{FindBadge, FindBadges};

/// One process writes and projects, and another one reads with the token of the write.
async fn parked_read() {
    let memory = Memory::new();
    let app = || bank(memory.clone()).discover_part(BADGES).discover_part("it::blame::queries").build();
    let [writer, reader] = [app(), app()].map(|app| app.expect("the app builds"));
    let mut follower = follower(&writer);
    let paid_by = async |id: &str, amount| {
        let pay = Pay { id: id.into(), amount };
        let paid = writer.with(Metadata::NONE).send_committed(pay).await.expect("the payment succeeds");
        writer.token(paid.position)
    };
    for id in ["kim", "lee", "park"] {
        opened(&writer, id).await;
    }
    let fine = paid_by("kim", 5).await;
    let parked = paid_by("kim", 13).await;
    let later = paid_by("lee", 6).await;
    caught_up(&mut follower).await;
    let find = async |app: &App, key: &str, token: &ConsistencyToken, eventually| {
        let find = FindBadge { key: key.into(), eventually };
        let found = app.with(Metadata::default().token(token.clone())).send(find).await;
        found.map(|badge| badge.map(|badge| badge.paid)).map_err(|error| error.kind())
    };
    let unavailable = Err(ErrorKind::Unavailable);
    for app in [&reader, &writer] {
        assert_eq!(find(app, "kim", &parked, false).await, unavailable, "the event at the token is parked");
        assert_eq!(
            find(app, "kim", &later, false).await,
            unavailable,
            "an event of the key before the token is parked"
        );
        assert_eq!(find(app, "lee", &parked, false).await, unavailable, "the caller may have written any key");
        assert_eq!(find(app, "lee", &later, false).await, Ok(Some(6)));
        let several = async |keys| {
            let found = app.with(Metadata::default().token(later.clone())).send(FindBadges(keys)).await;
            found.map_err(|error| error.kind())
        };
        assert_eq!(several(["lee", "kim"]).await, Err(ErrorKind::Unavailable), "one of the values lacks an event");
        assert_eq!(several(["lee", "unknown"]).await, Ok(1));
        assert_eq!(find(app, "kim", &later, true).await, Ok(Some(5)));
    }
    assert_eq!(find(&reader, "kim", &fine, false).await, Ok(Some(5)), "the parked event is after the token");
    assert_eq!(find(&reader, "kim", &ConsistencyToken::default(), false).await, Ok(Some(5)), "nothing is required");

    let number = writer.parked().show(LOG, "account/kim", 0, 1).await.expect("the message can be read")[0].number;
    let by = Metadata::default().caller("kim, on call");
    let discarded = writer.parked().discard(LOG, "account/kim", number, "a test", &by).await;
    assert!(discarded.expect("the message is discarded"));
    for app in [&reader, &writer] {
        assert_eq!(find(app, "kim", &later, false).await, Ok(Some(5)), "nothing is parked any more");
    }
}

/// Counts the reads of parked messages and the rows that they return.
#[derive(Clone)]
struct Counting {
    memory: Memory,
    reads: Arc<AtomicUsize>,
    rows: Arc<AtomicUsize>,
}
impl Counting {
    fn count<T>(&self, found: Vec<T>) -> Vec<T> {
        self.reads.fetch_add(1, SeqCst);
        self.rows.fetch_add(found.len(), SeqCst);
        found
    }
}
#[async_trait]
impl StorageLayer for Counting {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn parked_keys(&self, page: &ParkedPage<'_>) -> Result<Vec<ParkedKey>, Fault> {
        Ok(self.count(self.memory.parked_keys(page).await?))
    }
    async fn first_parked(&self, reader: &str, keys: &[String]) -> Result<Vec<(String, String)>, Fault> {
        Ok(self.count(self.memory.first_parked(reader, keys).await?))
    }
    async fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault> {
        Ok(self.count(self.memory.parked(reader, key, after, limit).await?))
    }
}
/// Events of 5,000 accounts and of aggregates of two other kinds are parked.
async fn few_read() {
    let storage = Counting { memory: Memory::new(), reads: Arc::default(), rows: Arc::default() };
    let app = bank(storage.clone()).discover_part(BADGES).discover_part("it::blame::queries").build();
    let app = app.expect("the app builds");
    for id in ["kim", "lee", "id4999"] {
        opened(&app, id).await;
    }
    paid_in(&app, "kim", 13).await;
    let pay = Pay { id: "lee".into(), amount: 6 };
    let paid = app.with(Metadata::NONE).send_committed(pay).await.expect("the payment succeeds");
    let token = app.token(paid.position);
    caught_up(&mut follower(&app)).await;
    let kinds = ["account", "account-of-another", "zebra"];
    let streams =
        (0..5_000).map(|n| format!("account/id{n}")).chain(kinds[1..].iter().map(|kind| format!("{kind}/choi")));
    let park = |key: String| {
        let (message, error) = (Uuid::new_v5(&Uuid::NAMESPACE_OID, key.as_bytes()), "seeded".to_owned());
        Park { reader: LOG.into(), key, behind: false, message, at: 1, record: None, error, attempts: 1 }
    };
    let batch = Batch { parks: streams.map(park).collect(), ..Batch::default() };
    storage.memory.commit(batch).await.expect("the messages are parked");
    let refused = [("kim", true), ("lee", false), ("id4999", true), ("choi", true), ("none", false)];
    for (key, is_refused) in refused {
        let (reads, rows) = (storage.reads.load(SeqCst), storage.rows.load(SeqCst));
        let find = FindBadge { key: key.into(), eventually: false };
        let found = app.with(Metadata::default().token(token.clone())).send(find).await;
        let kind = found.map(drop).map_err(|error| error.kind());
        assert_eq!(kind, if is_refused { Err(ErrorKind::Unavailable) } else { Ok(()) }, "{key}");
        let (reads, rows) = (storage.reads.load(SeqCst) - reads, storage.rows.load(SeqCst) - rows);
        assert!(reads <= kinds.len() + 4 && rows <= kinds.len() + 4, "{key}: {reads} reads of {rows} rows");
    }
}

async fn refused(app: AppBuilder) {
    let app = app.discover_part(BADGES).build().expect("the app builds");
    for id in ids() {
        opened(&app, &id).await;
    }
    for (number, id) in ids().into_iter().enumerate() {
        if number % 20 == 11 {
            app.send(Rename { id: id.clone(), name: "long".repeat(550) + &id }).await.expect("the name is free");
        }
        paid_in(&app, &id, 5).await;
    }
    let app = bank(Strict::new(app.storage().clone(), usize::MAX)).discover_part(BADGES).build();
    let app = app.expect("the app builds");
    let mut follower = follower(&app);
    let failed = caught_up(&mut follower).await;
    assert!(failed < 60, "the steps of a search are few: {failed}");
    assert_eq!(parked(&app).await, ["id11", "id31"].map(|id| (format!("account/{id}"), 2)));
    for id in ids() {
        assert_eq!(paid(&app, &id).await.is_some(), !["id11", "id31"].contains(&&*id), "{id}");
    }
}

async fn slow() {
    let storage = Strict::new(Arc::new(Memory::new()), 6);
    let app = bank(storage.clone()).discover_part(BADGES).build().expect("the app builds");
    for id in ids() {
        opened(&app, &id).await;
        paid_in(&app, &id, 5).await;
    }
    let mut follower = follower(&app);
    caught_up(&mut follower).await;
    assert!(parked(&app).await.is_empty());
    for id in ids() {
        assert_eq!(paid(&app, &id).await, Some(5), "{id}");
    }
    assert!(storage.largest.load(SeqCst) > 3, "the batches grow again: {}", storage.largest.load(SeqCst));
}

/// A storage that refuses long keys of views as if it had an index over them, and batches with many of them as if they
/// took too long. It does not say which write it refuses.
#[derive(Clone)]
struct Strict {
    below: Arc<dyn Storage>,
    most: usize,
    /// The largest number of views in one accepted batch.
    largest: Arc<AtomicUsize>,
}
impl Strict {
    fn new(below: Arc<dyn Storage>, most: usize) -> Self {
        Strict { below, most, largest: Arc::default() }
    }
}
#[async_trait]
impl StorageLayer for Strict {
    fn inner(&self) -> &dyn Storage {
        &*self.below
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        if batch.views.iter().any(|write| write.key.len() > 2000) {
            return Err(Fault::internal("seeded: an index entry is too large").into());
        }
        if batch.views.len() > self.most {
            return Err(Fault::unavailable("seeded: the statement was cancelled").into());
        }
        self.largest.fetch_max(batch.views.len(), SeqCst);
        self.below.commit(batch).await
    }
}

/// The amounts of thirty payments to ten accounts on one partition.
fn payments(partition: &Partition, payment: impl Fn(u64) -> (String, i64)) -> Vec<Received> {
    let received = |offset| {
        let (id, amount) = payment(offset);
        let message = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{partition}@{offset}").as_bytes());
        let record = record(&PaymentMade { id, amount }, offset, message);
        crate::listener::received(record, partition, offset)
    };
    (0..30).map(received).collect()
}
/// Follows a topic of two partitions to their ends. `faulty` replaces some payments of the first partition.
async fn followed(faulty: impl Fn(u64) -> Option<(String, i64)>) -> App {
    followed_with(faulty, |_| ()).await
}
async fn followed_with(faulty: impl Fn(u64) -> Option<(String, i64)>, damage: impl Fn(&mut Received)) -> App {
    let (transport, emit, notes) = Scripted::new();
    let storage = Strict::new(Arc::new(Memory::new()), usize::MAX);
    let app = bank(storage).discover_part(BADGES).transport(transport).build().expect("the app builds");
    let mut followers = app.topic_followers().await.expect("the transport has one subscription");
    let follower = &mut followers[0];
    let partitions = ["a", "b"].map(|part| Partition { topic: "bank.events.v1".into(), part: part.into() });
    emit(Signal::Assigned(partitions.to_vec()));
    let records = partitions.iter().flat_map(|partition| {
        payments(partition, |offset| {
            let usual = (format!("{}{}", partition.part, offset % 10), 100 + offset as i64);
            faulty(offset).filter(|_| partition.part == "a").unwrap_or(usual)
        })
    });
    let mut records: Vec<_> = records.collect();
    records.iter_mut().for_each(damage);
    emit(Signal::Records(records));
    let readers = partitions.map(|partition| format!("projection/topic-badge/{partition}"));
    for _ in 0..200 {
        if app.storage().checkpoints(&readers).await.expect("the memory responds") == [30, 30] {
            let ends = notes.acknowledged().into_iter().filter(|offset| *offset == 29).count();
            assert_eq!(ends, 2, "both partitions are acknowledged");
            return app;
        }
        let _ = follower.step().await;
    }
    panic!("the follower makes no progress: {follower:?}");
}
async fn topic_several() {
    let app = followed(|offset| [13, 14].contains(&offset).then(|| (format!("a{}", offset % 10), 13))).await;
    assert_eq!(parked(&app).await, [("a3".to_owned(), 2), ("a4".to_owned(), 2)]);
    let shown = app.parked().show("projection/topic-badge", "a3", 0, 9).await.expect("the messages can be read");
    assert_eq!(shown.iter().map(|message| message.at).collect::<Vec<_>>(), [13, 23]);
    for (key, amount) in [("a3", 103), ("a4", 104), ("a5", 125), ("b3", 123)] {
        assert_eq!(paid(&app, key).await, Some(amount), "{key}");
    }
}
/// The payments of two accounts have a text as their amount.
async fn undecodable() {
    let memory = Memory::new();
    let entry = |number: u64, stream: &str, payload: &str| NewEntry {
        stream: stream.into(),
        version: 1,
        id: Uuid::from_u128(number.into()),
        name: "account.paid",
        schema: 1,
        payload: payload.into(),
        metadata: Metadata::NONE,
        occurred_at: Timestamp::UNIX_EPOCH,
        outgoing: None,
    };
    let (fine, text) = ("{\"Paid\":{\"amount\":5}}", "{\"Paid\":{\"amount\":\"five\"}}");
    let events = vec![entry(1, "account/kim", text), entry(2, "account/lee", fine), entry(3, "account/park", text)];
    memory.commit(Batch { events, ..Batch::default() }).await.expect("the streams are new");
    let app = bank(memory).discover_part(BADGES).build().expect("the app builds");
    caught_up(&mut follower(&app)).await;
    assert_eq!(parked(&app).await, [("account/kim".to_owned(), 1), ("account/park".to_owned(), 1)]);
    assert_eq!(paid(&app, "lee").await, Some(5));

    let app = followed_with(
        |_| None,
        |record| {
            if [4, 7].contains(&record.offset) && record.partition.part == "a" {
                record.body = Some(b"{".to_vec());
            }
        },
    );
    let app = app.await;
    assert_eq!(parked(&app).await, [("a4".to_owned(), 3), ("a7".to_owned(), 3)]);
    assert_eq!((paid(&app, "a4").await, paid(&app, "a5").await), (None, Some(125)));
}
async fn topic_refused() {
    let long = "long".repeat(2000);
    let app = followed(|offset| [13, 14, 25].contains(&offset).then(|| (long.clone(), 1))).await;
    assert_eq!(parked(&app).await, [(long.clone(), 3)]);
    for (key, amount) in [("a3", 123), ("a5", 115), ("a9", 129), ("b5", 125)] {
        assert_eq!(paid(&app, key).await, Some(amount), "{key}");
    }
}
