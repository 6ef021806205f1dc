//! Topics of other producers: records without CloudEvents headers, which a decoder of the app reads.
use crate::{
    bank::{on_each, until},
    listener::{Script, lock},
    trials::trial,
};
use cqrs_core::{
    App, AppBuilder, BoxError, Change, Dep, IntegrationEvent, Metadata, Position, Recorded, RetryPolicy, Timestamp,
    View,
    event::shard_of,
    projection, subscriber,
    testing::TestApp,
    transport::{ForeignMessage, InProcess, Received, Record, Transport},
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::{
    sync::{Arc, Mutex, atomic::Ordering::SeqCst},
    time::Duration,
};
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials =
        on_each("foreign: an undecodable record is parked unchanged and decoded again on redelivery", parks);
    trials.extend([
        trial("foreign: a record without headers is handled with the id, key and time of its place", defaults),
        trial("foreign: the decoder sets id, key and time, and a repeated id is handled once", from_decoder),
        trial("foreign: the messages of a key that the decoder sets wait for each other", in_order),
        trial("foreign: a projection handles the records that the decoder does not skip", view),
        trial("foreign: a decoder for a topic that nothing handles is reported at build", unused),
    ]);
    trials
}

const TOPIC: &str = "legacy.orders";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "legacy.order.placed", topic = "legacy.orders", key = order)]
pub(crate) struct LegacyOrder {
    order: String,
    amount: i64,
}

/// Decodes lines such as `kim;3`. Lines that begin with `#` are skipped; `!` panics.
fn line(record: &Received) -> Result<Option<LegacyOrder>, BoxError> {
    let line = std::str::from_utf8(record.body.as_deref().unwrap_or_default())?;
    assert!(line != "!", "seeded: the decoder panics");
    if line.starts_with('#') {
        return Ok(None);
    }
    let (order, amount) = line.split_once(';').ok_or("the line has no semicolon")?;
    Ok(Some(LegacyOrder { order: order.into(), amount: amount.parse()? }))
}
fn decode(record: &Received) -> Result<Option<ForeignMessage>, BoxError> {
    line(record)?.map(|order| ForeignMessage::new(&order)).transpose()
}

mod orders {
    use super::{BoxError, Dep, LegacyOrder, Mutex, Recorded, Script, SeqCst, lock, subscriber};
    #[derive(Default)]
    pub(super) struct Seen(pub(super) Mutex<Vec<Recorded<LegacyOrder>>>);
    #[subscriber(group = "shipping.orders")]
    async fn ship(event: Recorded<LegacyOrder>, script: Dep<Script>, seen: Dep<Seen>) -> Result<(), BoxError> {
        script.calls.fetch_add(1, SeqCst);
        script.handle(&event.event.order, event.amount)?;
        lock(&seen.0).push(event);
        Ok(())
    }
}
const GROUP: &str = "shipping.orders";

mod views {
    use super::{Change, Deserialize, LegacyOrder, Serialize, View, projection};
    #[derive(Debug, Clone, Serialize, Deserialize, View)]
    #[view(name = "orders", key = String)]
    pub(super) struct Orders {
        pub(super) amounts: Vec<i64>,
    }
    #[projection(name = "orders")]
    fn orders(event: &LegacyOrder) -> Change<Orders> {
        let amount = event.amount;
        Change::none().and(event.order.clone(), move |found: Option<Orders>| {
            let mut amounts = found.map_or(vec![], |orders| orders.amounts);
            amounts.push(amount);
            Some(Orders { amounts })
        })
    }
}

struct Shipping {
    app: TestApp,
    broker: InProcess,
    script: Arc<Script>,
    seen: Arc<orders::Seen>,
}
impl Shipping {
    async fn start(
        app: AppBuilder,
        decoder: impl Fn(&Received) -> Result<Option<ForeignMessage>, BoxError> + Send + Sync + 'static,
    ) -> Self {
        let (broker, script) = (InProcess::new(), Arc::new(Script::default()));
        let seen = Arc::new(orders::Seen::default());
        let mut retry_policy = RetryPolicy::default();
        (retry_policy.attempts, retry_policy.first) = (3, Duration::from_millis(1));
        let app = app.retry_policy(retry_policy).transport(broker.clone());
        let app = app.discover_part("it::foreign::orders").provide(script.clone()).provide(seen.clone());
        let app = TestApp::start(app.foreign_topic(TOPIC, decoder)).await.expect("the app starts");
        Shipping { app, broker, script, seen }
    }
    async fn parked(&self) -> Vec<(String, u64)> {
        let keys = self.app.parked().list(&Default::default()).await.expect("the parked keys can be listed");
        keys.into_iter().map(|parked| (parked.key, parked.count)).collect()
    }
}

/// Builds a record as a producer without this framework writes it: a key, a body and a timestamp.
fn record(key: &str, body: &str, position: u64) -> Record {
    Record {
        topic: TOPIC.into(),
        key: key.into(),
        body: body.into(),
        headers: vec![],
        service: "legacy".into(),
        shard: shard_of(key),
        position: Position(position),
        occurred_at: time(position),
    }
}
fn time(seconds: u64) -> Timestamp {
    Timestamp::from_timestamp(seconds as i64, 0).expect("the time is in range")
}
async fn publish(broker: &InProcess, records: &[Record]) {
    let audience = broker.audiences(&[TOPIC]).pop().expect("the group has joined");
    let mut from = 0;
    while from < records.len() {
        let published = broker.publish(&audience, &records[from..]);
        let published = tokio::time::timeout(Duration::from_secs(20), published).await;
        from += published.expect("the records are acknowledged").acknowledged;
    }
}

async fn defaults() {
    let shipping = Shipping::start(App::builder("shipping"), decode).await;
    publish(&shipping.broker, &[record("a", "kim;3", 1), record("a", "# a comment", 2), record("a", "kim;3", 3)]).await;
    let seen = lock(&shipping.seen.0).clone();
    assert_eq!(seen.iter().map(|event| event.event.amount).collect::<Vec<_>>(), [3, 3], "other records, other ids");
    assert_eq!(seen.iter().map(|event| event.occurred_at).collect::<Vec<_>>(), [time(1), time(3)]);
    let place = |offset| {
        let place = format!("{TOPIC}/legacy/{}@{offset}", shard_of("a"));
        Uuid::new_v5(&Uuid::NAMESPACE_OID, place.as_bytes())
    };
    assert_eq!(seen.iter().map(|event| event.id).collect::<Vec<_>>(), [place(1), place(3)]);
    assert!(shipping.parked().await.is_empty());
    assert!(shipping.app.stop().await);
}

async fn from_decoder() {
    let id = |amount: i64| Uuid::from_u128(amount as u128);
    let shipping = Shipping::start(App::builder("shipping"), move |record| {
        let Some(order) = line(record)? else { return Ok(None) };
        let message = ForeignMessage::new(&order)?.id(id(order.amount)).key(order.key());
        Ok(Some(message.occurred_at(time(order.amount as u64))))
    })
    .await;
    shipping.script.stuck(["lee"]);
    let records = [record("a", "kim;7", 1), record("a", "kim;7", 2), record("a", "kim;8", 3), record("b", "lee;9", 4)];
    publish(&shipping.broker, &records).await;
    let seen: Vec<_> = lock(&shipping.seen.0).iter().map(|event| (event.id, event.occurred_at)).collect();
    assert_eq!(seen, [(id(7), time(7)), (id(8), time(8))]);
    assert_eq!(shipping.parked().await, [("lee".to_owned(), 1)], "the key of the decoder, not of the record");
    assert!(shipping.app.stop().await);
}

/// All records have one key of the producer, so only the decoder's key tells the orders apart.
async fn in_order() {
    let shipping = Shipping::start(App::builder("shipping"), |record| {
        let Some(order) = line(record)? else { return Ok(None) };
        Ok(Some(ForeignMessage::new(&order)?.key(order.key())))
    })
    .await;
    shipping.script.stuck(["kim 1"]);
    let lines = ["kim;1", "lee;1", "kim;2", "lee;2"];
    let records: Vec<_> = lines.into_iter().zip(1..).map(|(line, position)| record("", line, position)).collect();
    publish(&shipping.broker, &records).await;
    assert_eq!((shipping.script.of("kim"), shipping.script.of("lee")), (vec![], vec![1, 2]));
    assert_eq!(shipping.parked().await, [("kim".to_owned(), 2)]);
    shipping.script.stuck([]);
    let again = shipping.app.parked().redeliver(GROUP, "kim", &Metadata::default()).await.expect("it runs");
    assert!(again.stopped.is_none(), "{again:?}");
    assert_eq!(shipping.script.of("kim"), [1, 2]);
    assert!(shipping.app.stop().await);
}

async fn parks(app: AppBuilder) {
    // A later version of the decoder also reads a comma.
    let newer = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let reads_commas = newer.clone();
    let shipping = Shipping::start(app, move |record| {
        let mut record = record.clone();
        if reads_commas.load(SeqCst) {
            let body = record.body.iter_mut().flatten();
            body.for_each(|byte| *byte = if *byte == b',' { b';' } else { *byte });
        }
        decode(&record)
    })
    .await;
    let records =
        [record("kim", "kim,1", 1), record("choi", "!", 2), record("kim", "kim;2", 3), record("lee", "lee;3", 4)];
    publish(&shipping.broker, &records).await;
    assert_eq!(shipping.script.handled(), [("lee".into(), 3)]);
    assert_eq!(shipping.parked().await, [("choi".to_owned(), 1), ("kim".to_owned(), 2)]);
    let first = async |key| {
        let parked = shipping.app.parked().show(GROUP, key, 0, 1).await.expect("the parked messages can be read");
        parked.into_iter().next().expect("it is parked")
    };
    let kim = first("kim").await;
    let kept = kim.record.expect("the record came from a topic");
    assert_eq!((kept.body.as_deref(), kept.timestamp, kept.headers.len()), (Some(&b"kim,1"[..]), Some(time(1)), 0));
    assert_eq!((kim.attempts, kim.error.contains("the line has no semicolon")), (1, true), "{}", kim.error);
    assert!(first("choi").await.error.contains("the decoder panicked"));
    newer.store(true, SeqCst);
    let again = shipping.app.parked().redeliver(GROUP, "kim", &Metadata::default()).await.expect("it runs");
    assert!(again.stopped.is_none(), "{again:?}");
    assert_eq!(shipping.script.of("kim"), [1, 2]);
    let ships: Vec<_> = lock(&shipping.seen.0).iter().map(|event| (event.event.amount, event.occurred_at)).collect();
    assert_eq!(ships, [(3, time(4)), (1, time(1)), (2, time(3))], "the timestamp is parked with the record");
    assert!(shipping.app.stop().await);
}

async fn view() {
    let broker = InProcess::new();
    let app = App::builder("shipping").discover_part("it::foreign::views").transport(broker.clone());
    let app = TestApp::start(app.foreign_topic(TOPIC, decode)).await.expect("the app starts");
    let records =
        [record("a", "kim;1", 1), record("a", "# a comment", 2), record("a", "kim;2", 3), record("b", "?", 4)];
    publish(&broker, &records).await;
    let found = async || {
        let found = app.storage().views("orders", &["kim".into()]).await.expect("the storage responds");
        found[0].value.as_deref().map(|value| String::from_utf8_lossy(value).into_owned())
    };
    until("the orders are in the view", async || found().await.as_deref() == Some(r#"{"amounts":[1,2]}"#)).await;
    let parked = app.parked().list(&Default::default()).await.expect("the parked keys can be listed");
    assert_eq!(parked.iter().map(|parked| parked.key.as_str()).collect::<Vec<_>>(), ["b"]);
    assert!(app.stop().await);
}

async fn unused() {
    let app = App::builder("shipping").foreign_topic("legacy.order", decode).foreign_topic("legacy.order", decode);
    let problems = app.build().expect_err("nothing handles the topic").problems;
    let unused = "no subscriber or projection handles the foreign topic `legacy.order`";
    assert_eq!(problems, [unused, "topic `legacy.order` has two decoders"]);
}
