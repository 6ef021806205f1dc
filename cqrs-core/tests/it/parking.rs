//! A message that cannot be handled is parked with the later ones of its key. Redelivery keeps the order.
//!
//! Other keys go on in the meantime.
use crate::{
    bank::{AccountEvent, BANK, FindCard, PaymentMade, bank, on_each, opened, paid_in, until},
    listener::{LISTENER, Script, record},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, AppBuilder, BoxError, Change, Dep, Fault, IntegrationEvent, Metadata, Recorded, RetryPolicy, View,
    event::NewEntry,
    permanent, projection,
    storage::{Batch, InboxLookup, Memory, Storage},
    subscriber,
    testing::{StorageLayer, TestApp, TransportLayer},
    transport::{Audience, InProcess, Published, Record, Transport, TransportError, UNREADABLE_HEADER},
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = on_each("parking: the messages of a stuck key are parked and redelivered in order", whole_key);
    trials.extend([
        trial("parking: seeded: a storage that hides parked messages breaks the order", seeded),
        trial("parking: an unavailable dependency parks nothing", transient),
        trial("parking: a permanent error is not retried", at_once),
        trial("parking: an unreadable record is parked unchanged", unreadable),
        trial("parking: a record of another content type is parked with an error that names both", content_type),
        trial("parking: an event whose aggregate's id cannot be parsed is parked at once", unreadable_id),
        trial("parking: a message that is delivered twice is parked once", twice),
        trial("parking: a subscriber to its own log goes on with other aggregates", own_log),
        trial("parking: a projection goes on with other aggregates", own_view),
        trial("parking: a projection on a topic goes on with other keys", topic_view),
        trial("parking: a record that the broker refuses permanently parks only its key", relay),
        trial("parking: a discarded message is gone, and the log records the operator", discarded),
    ]);
    trials
}

/// Shortens the pauses between attempts.
fn impatient(app: AppBuilder) -> AppBuilder {
    let mut retry_policy = RetryPolicy::default();
    retry_policy.attempts = 3;
    (retry_policy.first, retry_policy.longest) = (Duration::from_millis(1), Duration::from_millis(2));
    app.retry_policy(retry_policy)
}
async fn started(app: AppBuilder) -> TestApp {
    TestApp::start(impatient(app)).await.expect("the app starts")
}
fn me() -> Metadata {
    Metadata::default().caller("kim, on call")
}
/// Returns the number of parked messages by reader and key.
async fn parked(app: &App) -> Vec<(String, String, u64)> {
    let keys = app.parked().list(&Default::default()).await.expect("the parked keys can be listed");
    keys.into_iter().map(|parked| (parked.reader, parked.key, parked.count)).collect()
}
async fn redelivered(app: &App, reader: &str, key: &str) -> usize {
    let redelivery = app.parked().redeliver(reader, key, &me()).await.expect("the redelivery runs");
    assert!(redelivery.stopped.is_none(), "{redelivery:?}");
    redelivery.done.len()
}
/// Returns the operators' acts in the log: the event's name and the caller.
async fn acts(app: &App) -> Vec<(String, Option<String>)> {
    let end = app.storage().high_water_mark().await.expect("the storage responds");
    let log = app
        .storage()
        .log(Default::default(), end, cqrs_core::storage::ReadLimit::entries(usize::MAX))
        .await
        .expect("the storage responds");
    let acts = log.into_iter().filter(|entry| entry.name.starts_with("parked."));
    acts.map(|entry| (entry.name, entry.metadata.caller)).collect()
}

const GROUP: &str = "bank.listener";

async fn whole_key(app: AppBuilder) {
    let script = Arc::new(Script::default());
    script.stuck(["kim 2"]);
    let app = started(app.discover_part(LISTENER).provide(script.clone())).await;
    for id in ["kim", "lee"] {
        opened(&app, id).await;
        for amount in 1..=4 {
            paid_in(&app, id, amount).await;
        }
    }
    app.settle().await;
    assert_eq!((script.of("kim"), script.of("lee")), (vec![1], vec![1, 2, 3, 4]));
    assert_eq!(parked(&app).await, [(GROUP.into(), "kim".into(), 3)]);
    assert!(app.lag().await.expect("the storage responds").is_empty(), "no other message is behind");

    let first = app.parked().show(GROUP, "kim", 0, 9).await.expect("the parked messages can be read");
    assert_eq!(first.iter().map(|message| message.attempts).collect::<Vec<_>>(), [3, 0, 0]);
    assert!(first[0].error.contains("seeded: the account is stuck"), "{}", first[0].error);
    let dry_run = app.parked().dry_run(GROUP, "kim").await.expect("the dry run succeeds");
    assert_eq!((dry_run.done.len(), dry_run.stopped.is_none()), (3, true));
    assert_eq!(script.of("kim"), [1], "a dry run has no effect");

    let stopped = app.parked().redeliver(GROUP, "kim", &me()).await.expect("the redelivery runs");
    assert_eq!(
        (stopped.done.len(), stopped.stopped.expect("the message is still stuck").0.number),
        (0, first[0].number)
    );
    script.stuck([]);
    paid_in(&app, "kim", 5).await;
    app.settle().await;
    assert_eq!(script.of("kim"), [1], "a new message of the key is parked behind the others");
    assert_eq!(redelivered(&app, GROUP, "kim").await, 4);
    assert_eq!(redelivered(&app, GROUP, "kim").await, 0);
    paid_in(&app, "kim", 6).await;
    app.settle().await;
    assert_eq!(script.of("kim"), [1, 2, 3, 4, 5, 6]);
    assert!(parked(&app).await.is_empty());
    let by_me = ("parked.redelivered".to_owned(), me().caller);
    assert_eq!(acts(&app).await, vec![by_me; 4]);
    assert!(app.stop().await);
}

/// A storage that hides parked messages from the inbox look-up.
struct Blind(Memory);
#[async_trait]
impl StorageLayer for Blind {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn lookup_inbox(&self, group: &str, messages: &[Uuid], _: &[String]) -> Result<InboxLookup, Fault> {
        self.0.lookup_inbox(group, messages, &[]).await
    }
}
async fn seeded() {
    let script = Arc::new(Script::default());
    script.stuck(["kim 1"]);
    let app = started(bank(Blind(Memory::new())).discover_part(LISTENER).provide(script.clone())).await;
    opened(&app, "kim").await;
    for amount in 1..=3 {
        paid_in(&app, "kim", amount).await;
    }
    app.settle().await;
    script.stuck([]);
    redelivered(&app, GROUP, "kim").await;
    assert_eq!(script.of("kim"), [2, 3, 1], "the bug changes the order of delivery, so the other tests would find it");
    assert!(app.stop().await);
}

mod moody {
    use super::{Arc, AtomicU32, BoxError, Dep, Fault, Mutex, PaymentMade, Recorded, SeqCst, permanent, subscriber};
    #[derive(Default)]
    pub(super) struct Mood {
        /// The number of calls that still fail.
        pub(super) down: AtomicU32,
        pub(super) calls: AtomicU32,
        pub(super) handled: Mutex<Vec<i64>>,
    }
    #[subscriber(group = "bank.moody")]
    async fn moody(event: Recorded<PaymentMade>, mood: Dep<Arc<Mood>>) -> Result<(), BoxError> {
        mood.calls.fetch_add(1, SeqCst);
        if mood.down.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Fault::unavailable("seeded: the mail server is down").into());
        }
        if event.amount < 0 {
            return Err(permanent("seeded: the amount is invalid"));
        }
        crate::listener::lock(&mood.handled).push(event.amount);
        Ok(())
    }
}
async fn moody(mood: &Arc<moody::Mood>) -> TestApp {
    let app = bank(Memory::new()).discover_part("it::parking::moody").provide(Arc::new(mood.clone()));
    let app = started(app).await;
    opened(&app, "kim").await;
    app
}
async fn transient() {
    let mood = Arc::new(moody::Mood::default());
    mood.down.store(20, SeqCst);
    let app = moody(&mood).await;
    paid_in(&app, "kim", 7).await;
    app.settle().await;
    assert_eq!((mood.calls.load(SeqCst), &**crate::listener::lock(&mood.handled)), (21, &[7][..]));
    assert!(parked(&app).await.is_empty());
    assert!(app.stop().await);
}
async fn at_once() {
    let mood = Arc::new(moody::Mood::default());
    let app = moody(&mood).await;
    paid_in(&app, "kim", 7).await;
    paid_in(&app, "kim", -3).await;
    paid_in(&app, "kim", 8).await;
    app.settle().await;
    assert_eq!((mood.calls.load(SeqCst), &**crate::listener::lock(&mood.handled)), (2, &[7][..]));
    assert_eq!(parked(&app).await, [("bank.moody".into(), "kim".into(), 2)]);
    assert!(app.stop().await);
}

async fn listening(broker: &InProcess, script: &Arc<Script>) -> TestApp {
    started(App::builder("listener").discover_part(LISTENER).provide(script.clone()).transport(broker.clone())).await
}
fn paid(id: &str, amount: i64, position: u64) -> Record {
    record(&PaymentMade { id: id.into(), amount }, position, Uuid::from_u128(position.into()))
}
async fn publish(broker: &InProcess, records: &[Record]) {
    let audience = broker.audiences(&[PaymentMade::TOPIC]).pop().expect("the group has joined");
    let mut from = 0;
    while from < records.len() {
        let published = broker.publish(&audience, &records[from..]);
        let published =
            tokio::time::timeout(Duration::from_secs(20), published).await.expect("the records are acknowledged");
        from += published.acknowledged;
    }
}
async fn unreadable() {
    let (broker, script) = (InProcess::new(), Arc::new(Script::default()));
    let app = listening(&broker, &script).await;
    let headless = Record { headers: vec![("odd".into(), "value".into())], ..paid("kim", 1, 1) };
    let bodiless = Record { body: b"{".to_vec(), ..paid("choi", 1, 2) };
    let mut unnamed = paid("han", 1, 3);
    unnamed.headers.push((UNREADABLE_HEADER.into(), String::new()));
    publish(&broker, &[headless.clone(), bodiless.clone(), unnamed.clone(), paid("lee", 3, 4)]).await;
    assert_eq!(script.handled(), [("lee".into(), 3)]);
    for (key, sent) in [("kim", headless), ("choi", bodiless), ("han", unnamed)] {
        let parked = app.parked().show(GROUP, key, 0, 9).await.expect("the parked messages can be read");
        let [parked] = &parked[..] else { panic!("{key}: {parked:?}") };
        let record = parked.record.as_ref().expect("the record came from a topic");
        assert_eq!((record.body.as_ref(), record.key.as_deref()), (Some(&sent.body), Some(key.as_bytes())));
        let headers: Vec<_> = sent.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
        assert_eq!((&record.headers, parked.at), (&headers, sent.position.0));
        let dry_run = app.parked().dry_run(GROUP, key).await.expect("the dry run succeeds");
        assert_eq!(dry_run.done.len(), usize::from(key == "choi"), "a record without headers has no event name");
    }
    assert!(app.stop().await);
}
/// A payment in JSON whose header names another encoding. Parameters and upper case make no difference, and a record
/// without the header is accepted.
async fn content_type() {
    let (broker, script) = (InProcess::new(), Arc::new(Script::default()));
    let app = listening(&broker, &script).await;
    let typed = |content_type: &str, id, position| {
        let mut record = paid(id, 1, position);
        record.headers.push(("content-type".into(), content_type.into()));
        record
    };
    let wrong = typed("application/protobuf", "kim", 1);
    let json = typed("Application/JSON; charset=utf-8", "lee", 2);
    publish(&broker, &[wrong, json, paid("choi", 1, 3)]).await;
    let mut handled = script.handled();
    handled.sort_unstable();
    assert_eq!(handled, [("choi".into(), 1), ("lee".into(), 1)]);
    let parked = app.parked().show(GROUP, "kim", 0, 9).await.expect("the parked messages can be read");
    let error = &parked[0].error;
    let expected = "the content type of the record is `application/protobuf`, and com.example.bank.paid.v1 is read as \
        `application/json`";
    assert!(error.contains(expected), "{error}");
    assert_eq!((parked.len(), parked[0].attempts), (1, 1), "another attempt could not succeed");
    assert!(app.stop().await);
}
async fn twice() {
    let (broker, script) = (InProcess::new(), Arc::new(Script::default()));
    script.stuck(["kim"]);
    let app = listening(&broker, &script).await;
    let again = |position| Record { headers: paid("kim", 1, 1).headers, ..paid("kim", 1, position) };
    publish(&broker, &[again(1), again(2), paid("kim", 2, 3), again(4)]).await;
    assert_eq!(parked(&app).await, [(GROUP.into(), "kim".into(), 2)]);
    script.stuck([]);
    assert_eq!(redelivered(&app, GROUP, "kim").await, 2);
    publish(&broker, &[again(5)]).await;
    assert_eq!(script.of("kim"), [1, 2]);
    assert!(app.stop().await);
}

mod meters {
    use super::{BoxError, Change, Dep, Deserialize, Mutex, Recorded, Serialize, View, projection, subscriber};
    use cqrs_core::{Aggregate, Event, Evolve};

    #[derive(Clone, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "meter", event = Read)]
    pub(super) struct Meter {
        #[id]
        number: u64,
    }
    #[derive(Clone, Serialize, Deserialize, Event)]
    #[event(name = "meter.read", version = 1)]
    pub(super) struct Read;
    impl Evolve<Read> for Meter {
        fn create(number: u64, _: &Read) -> Option<Self> {
            Some(Meter { number })
        }
        fn apply(&mut self, _: &Read) {}
    }
    #[derive(Clone, Serialize, Deserialize, View)]
    #[view(name = "reading", key = u64)]
    struct Reading;
    #[projection(name = "reading")]
    fn reading(event: &Recorded<Read>) -> Change<Reading> {
        Reading.put(event.aggregate_id)
    }
    #[subscriber(group = "meters", from = "beginning")]
    async fn collect(event: Recorded<Read>, collected: Dep<Mutex<Vec<u64>>>) -> Result<(), BoxError> {
        let number: u64 = event.aggregate_id;
        collected.lock().unwrap().push(number);
        Ok(())
    }
}
async fn unreadable_id() {
    let (memory, collected) = (Memory::new(), Arc::new(Mutex::new(Vec::<u64>::new())));
    let entry = |number: u128, stream: &str| NewEntry {
        stream: stream.into(),
        version: 1,
        id: Uuid::from_u128(number),
        name: "meter.read",
        schema: 1,
        payload: b"null".to_vec(),
        metadata: Metadata::NONE,
        occurred_at: cqrs_core::Timestamp::UNIX_EPOCH,
        outgoing: None,
    };
    let events = vec![entry(1, "meter/one"), entry(2, "meter/2")];
    memory.commit(Batch { events, ..Batch::default() }).await.expect("the streams are new");
    let app = App::builder("meters").discover_part("it::parking::meters").storage(memory).provide(collected.clone());
    let app = started(app.aggregate(cqrs_core::StateStored::<meters::Meter>::new())).await;
    app.settle().await;
    assert_eq!(*collected.lock().unwrap(), [2]);
    assert!(app.storage().views("reading", &["2".into()]).await.expect("the storage responds")[0].value.is_some());
    let readers = ["projection/reading", "subscriber/meters"];
    assert_eq!(parked(&app).await, readers.map(|reader| (reader.to_owned(), "meter/one".to_owned(), 1)));
    for reader in readers {
        let shown = app.parked().show(reader, "meter/one", 0, 1).await.expect("the parked message can be read");
        assert_eq!(shown[0].attempts, 1, "{}", shown[0].error);
        assert!(shown[0].error.contains("the id in stream meter/one cannot be parsed"), "{}", shown[0].error);
    }
    assert!(app.stop().await);
}

mod own {
    use super::{AccountEvent, BoxError, Dep, Recorded, Script, subscriber};
    #[subscriber(group = "bank.own", from = "beginning")]
    async fn own(event: Recorded<AccountEvent>, script: Dep<Script>) -> Result<(), BoxError> {
        let AccountEvent::Paid { amount } = event.event else { return Ok(()) };
        script.handle(&event.aggregate_id, amount)
    }
}
async fn own_log() {
    let script = Arc::new(Script::default());
    script.stuck(["kim 1"]);
    let app = started(bank(Memory::new()).discover_part("it::parking::own").provide(script.clone())).await;
    for id in ["kim", "lee"] {
        opened(&app, id).await;
        paid_in(&app, id, 1).await;
        paid_in(&app, id, 2).await;
    }
    app.settle().await;
    assert_eq!((script.of("kim"), script.of("lee")), (vec![], vec![1, 2]));
    let (reader, key) = ("subscriber/bank.own", "account/kim");
    assert_eq!(parked(&app).await, [(reader.into(), key.into(), 2)]);
    script.stuck([]);
    assert_eq!(redelivered(&app, reader, key).await, 2);
    paid_in(&app, "kim", 3).await;
    app.settle().await;
    assert_eq!(script.of("kim"), [1, 2, 3]);
    assert!(app.stop().await);
}

/// Makes the two projections below panic at a payment of 13 while it is true.
static UNLUCKY: [AtomicBool; 2] = [AtomicBool::new(true), AtomicBool::new(true)];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "payments", key = String)]
pub(crate) struct Payments {
    all: Vec<i64>,
}
mod own_views {
    use super::{AccountEvent, Change, Payments, Recorded, SeqCst, UNLUCKY, View, projection};
    #[projection(name = "payments")]
    fn payments(event: &Recorded<AccountEvent>) -> Change<Payments> {
        let id = event.aggregate_id.clone();
        match event.event {
            AccountEvent::Opened { .. } => Payments { all: vec![] }.put(id),
            AccountEvent::Renamed { .. } => Change::none(),
            AccountEvent::Paid { amount } => {
                assert!(amount != 13 || !UNLUCKY[0].load(SeqCst), "seeded: 13");
                Payments::update(id, move |payments| payments.all.push(amount))
            }
        }
    }
}
async fn payments(app: &App, key: &str) -> Vec<i64> {
    let found = app.storage().views("payments", &[key.to_owned()]).await.expect("the storage responds").pop();
    let value = found.and_then(|view| view.value).expect("the view exists");
    serde_json::from_slice::<Payments>(&value).expect("the view can be decoded").all
}
async fn own_view() {
    let app = started(bank(Memory::new()).discover_part("it::parking::own_views")).await;
    for id in ["kim", "lee"] {
        opened(&app, id).await;
    }
    for amount in [1, 13, 2] {
        paid_in(&app, "kim", amount).await;
        paid_in(&app, "lee", amount + 20).await;
    }
    app.settle().await;
    assert_eq!((payments(&app, "kim").await, payments(&app, "lee").await), (vec![1], vec![21, 33, 22]));
    let (reader, key) = ("projection/payments", "account/kim");
    assert_eq!(parked(&app).await, [(reader.into(), key.into(), 2)]);
    assert!(app.send(FindCard("kim".into())).await.is_ok(), "another view of the same events is complete");
    UNLUCKY[0].store(false, SeqCst);
    assert_eq!(redelivered(&app, reader, key).await, 2);
    paid_in(&app, "kim", 3).await;
    app.settle().await;
    assert_eq!(payments(&app, "kim").await, [1, 13, 2, 3]);
    assert!(app.stop().await);
}

mod topic_views {
    use super::{Change, PaymentMade, Payments, SeqCst, UNLUCKY, projection};
    #[projection(name = "topic-payments")]
    fn topic_payments(event: &PaymentMade) -> Change<Payments> {
        let PaymentMade { id, amount } = event.clone();
        assert!(amount != 13 || !UNLUCKY[1].load(SeqCst), "seeded: 13");
        Change::none().and(id, move |found: Option<Payments>| {
            let mut all = found.map_or(vec![], |payments| payments.all);
            all.push(amount);
            Some(Payments { all })
        })
    }
}
async fn topic_view() {
    let broker = InProcess::new();
    let app = App::builder("listener").discover_part("it::parking::topic_views").transport(broker.clone());
    let app = started(app).await;
    let shard_of = |id: &str| cqrs_core::event::shard_of(id);
    // Both keys share a relay shard and so a partition, so that the failing record is between the others.
    let same = (b'a'..=b'z').map(|c| (c as char).to_string()).find(|id| id != "k" && shard_of(id) == shard_of("k"));
    let other = same.expect("a letter with the shard of k");
    let sent = [("k", 1), (&other, 1), ("k", 13), (&other, 2), ("k", 2), (&other, 3)];
    let records: Vec<_> = sent.into_iter().zip(1..).map(|((id, amount), at)| paid(id, amount, at)).collect();
    publish(&broker, &records).await;
    assert_eq!((payments(&app, "k").await, payments(&app, &other).await), (vec![1], vec![1, 2, 3]));
    let reader = "projection/topic-payments";
    assert_eq!(parked(&app).await, [(reader.into(), "k".into(), 2)]);
    UNLUCKY[1].store(false, SeqCst);
    assert_eq!(redelivered(&app, reader, "k").await, 2);
    publish(&broker, &[paid("k", 3, 7)]).await;
    assert_eq!(payments(&app, "k").await, [1, 13, 2, 3]);
    assert!(app.stop().await);
}

/// A broker that stores records and refuses those of some payments.
#[derive(Clone, Default)]
struct Picky {
    below: InProcess,
    refused: Arc<Mutex<BTreeSet<String>>>,
    stored: Arc<Mutex<Vec<PaymentMade>>>,
}
#[async_trait]
impl TransportLayer for Picky {
    fn inner(&self) -> &dyn Transport {
        &self.below
    }
    fn audiences(&self, _: &[&str]) -> Vec<Audience> {
        vec![Audience::broker()]
    }
    async fn publish(&self, _: &Audience, records: &[Record]) -> Published {
        for (acknowledged, record) in records.iter().enumerate() {
            let payment = <PaymentMade as IntegrationEvent>::decode(&record.body).expect("the record is a payment");
            if crate::listener::lock(&self.refused).contains(&format!("{} {}", payment.id, payment.amount)) {
                let error = Some(TransportError::permanent("seeded: too large"));
                return Published { acknowledged, error };
            }
            crate::listener::lock(&self.stored).push(payment);
        }
        Published { acknowledged: records.len(), error: None }
    }
}
impl Picky {
    fn of(&self, id: &str) -> Vec<i64> {
        crate::listener::lock(&self.stored)
            .iter()
            .filter(|payment| payment.id == id)
            .map(|payment| payment.amount)
            .collect()
    }
}
async fn relay() {
    let broker = Picky::default();
    *crate::listener::lock(&broker.refused) = ["kim 2".to_owned()].into();
    let ids: Vec<_> = ["kim".to_owned()].into_iter().chain((0..40).map(|n| n.to_string())).collect();
    let app = started(bank(Memory::new()).transport(broker.clone())).await;
    for id in &ids {
        opened(&app, id).await;
    }
    for amount in 1..=4 {
        for id in &ids {
            paid_in(&app, id, amount).await;
        }
    }
    app.settle().await;
    assert_eq!(broker.of("kim"), [1]);
    assert!(ids[1..].iter().all(|id| broker.of(id) == [1, 2, 3, 4]));
    let reader = format!("relay/{}", cqrs_core::event::shard_of("kim"));
    assert_eq!(parked(&app).await, [(reader.clone(), "kim".into(), 3)]);
    let stopped = app.parked().redeliver(&reader, "kim", &me()).await.expect("the redelivery runs");
    assert!(stopped.stopped.is_some(), "the broker still refuses the record");
    crate::listener::lock(&broker.refused).clear();
    assert_eq!(redelivered(&app, &reader, "kim").await, 3);
    paid_in(&app, "kim", 5).await;
    app.settle().await;
    assert_eq!(broker.of("kim"), [1, 2, 3, 4, 5]);
    assert!(app.stop().await);
}

async fn discarded() {
    let script = Arc::new(Script::default());
    script.stuck(["kim 1"]);
    let app = App::builder("bank").discover_part(BANK).discover_part(LISTENER).provide(script.clone());
    let app = started(app.aggregate(cqrs_core::StateStored::<crate::bank::Account>::new())).await;
    opened(&app, "kim").await;
    paid_in(&app, "kim", 1).await;
    paid_in(&app, "kim", 2).await;
    until("both messages are parked", async || parked(&app).await == [(GROUP.into(), "kim".into(), 2)]).await;
    let parked = app.parked();
    let number = parked.show(GROUP, "kim", 0, 1).await.expect("the parked messages can be read")[0].number;
    let look = async |why: &str| parked.show_data(GROUP, "kim", 0, 1, why, &me()).await;
    assert!(look(" ").await.is_err() && acts(&app).await.is_empty(), "a look without a reason shows nothing");
    assert_eq!(look("the person asked").await.expect("the message can be read")[0].number, number);
    let discard = async || {
        parked.discard(GROUP, "kim", number, "it was a test", &me()).await.expect("the message can be discarded")
    };
    assert_eq!((discard().await, discard().await), (true, false));
    assert_eq!(redelivered(&app, GROUP, "kim").await, 1);
    assert_eq!(script.of("kim"), [2]);
    let by_me = |name: &str| (name.to_owned(), me().caller);
    assert_eq!(acts(&app).await, [by_me("parked.shown"), by_me("parked.discarded"), by_me("parked.redelivered")]);
    assert!(app.stop().await);
}
