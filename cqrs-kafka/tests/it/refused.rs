//! A topic that a real broker refuses for a time: the records of another topic go on, and each record is stored once.
use super::config;
use cqrs_core::{
    Aggregate, App, Command, Event, Evolve, HandlerResult, Infallible, IntegrationEvent, Recorded, Repo, StateStored,
    event::shard_of, handler, publish, testing::settled_within,
};
use cqrs_kafka::Kafka;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};
use test_support::{Kafka as Broker, Operation, Resource, Right, Trials};
use tokio::{
    sync::watch,
    task::{block_in_place, yield_now},
    time::sleep,
};

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("without the right on one topic the others go on, and its records follow once, in order", a_lost_right)
        .within(Duration::from_secs(400))
}

#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "parcel", event = Moved)]
struct Parcel {
    #[id]
    id: String,
    number: u32,
}
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "parcel.moved", version = 1)]
struct Moved {
    number: u32,
    is_billed: bool,
}
impl Evolve<Moved> for Parcel {
    fn create(id: String, event: &Moved) -> Option<Self> {
        Some(Parcel { id, number: event.number })
    }
    fn apply(&mut self, event: &Moved) {
        self.number = event.number;
    }
}
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
struct Move {
    id: String,
    number: u32,
}
#[handler]
async fn move_parcel(command: Move, parcels: Repo<Parcel>) -> HandlerResult<(), Infallible> {
    let Move { id, number } = command;
    let events = [true, false].map(|is_billed| Moved { number, is_billed }).to_vec();
    match parcels.find(&id).await? {
        Some(_) => drop(parcels.update(&id, |_| Ok(events)).await?),
        None => drop(parcels.create(id, events)?),
    }
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "parcel.billed.v1", topic = "refused.billing", key = id)]
struct ParcelBilled {
    id: String,
    number: u32,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "parcel.tracked.v1", topic = "refused.tracking", key = id)]
struct ParcelTracked {
    id: String,
    number: u32,
}
#[publish]
fn billed(event: &Recorded<Moved>) -> Option<ParcelBilled> {
    event.is_billed.then(|| ParcelBilled { id: event.aggregate_id.clone(), number: event.number })
}
#[publish]
fn tracked(event: &Recorded<Moved>) -> Option<ParcelTracked> {
    (!event.is_billed).then(|| ParcelTracked { id: event.aggregate_id.clone(), number: event.number })
}

const KEYS: u32 = 12;
/// The longest wait for the broker and for the app.
const PATIENCE: Duration = Duration::from_secs(100);

async fn moved(app: &App, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        for key in 0..KEYS {
            app.send(Move { id: format!("parcel {key}"), number }).await.expect("the parcel is moved");
        }
    }
}
/// Moves all parcels again and again without a pause, with numbers from the next one on, until nobody looks at the number
/// any more. Returns the last number.
async fn load(app: App, number: watch::Sender<u32>) -> u32 {
    while !number.is_closed() {
        number.send_modify(|number| *number += 1);
        let number = *number.borrow();
        moved(&app, number..=number).await;
        yield_now().await; // commands in memory wait for nothing, and the relay may run on this thread
    }
    *number.borrow()
}
/// Returns the numbers that the broker holds now, by key and in its order. It reads without the framework's consumer, which
/// stops at its limits on records that are not acknowledged.
fn stored(broker: &Broker, topic: &str) -> BTreeMap<String, Vec<u32>> {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", broker.bootstrap()).set("group.id", "none").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = settings.create().expect("the settings are valid");
    let (mut parts, mut left) = (TopicPartitionList::new(), 0);
    for part in 0..config(broker).partitions {
        let (first, next) = consumer.fetch_watermarks(topic, part, PATIENCE).expect("the broker responds");
        parts.add_partition_offset(topic, part, Offset::Beginning).expect("an offset");
        left += next - first;
    }
    consumer.assign(&parts).expect("the partitions exist");
    let mut found = BTreeMap::<String, Vec<u32>>::new();
    while left > 0 {
        let record = consumer.poll(PATIENCE).expect("a record").expect("the broker responds");
        let tracked: ParcelTracked = serde_json::from_slice(record.payload().expect("a body")).expect("a parcel");
        found.entry(tracked.id).or_default().push(tracked.number);
        left -= 1;
    }
    found
}
/// Waits until the topic of the bills waits in the relay shards of all parcels.
async fn until_all_wait(app: &App) {
    let shards: BTreeSet<_> = (0..KEYS).map(|key| shard_of(&format!("parcel {key}"))).collect();
    let waiting: Vec<_> = shards.into_iter().map(|shard| format!("relay/{shard}/waiting")).collect();
    let deadline = Instant::now() + PATIENCE;
    while app.storage().checkpoints(&waiting).await.expect("the checkpoints").contains(&0) {
        assert!(Instant::now() < deadline, "a shard has not found out that the topic is refused");
        sleep(Duration::from_millis(100)).await;
    }
}
async fn until_error(app: &App, has_error: bool) -> Option<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let components = app.health().await.components;
        let error = components.into_iter().find(|component| component.name == "topics").and_then(|topics| topics.error);
        if error.is_some() == has_error {
            return error;
        }
        assert!(Instant::now() < deadline, "{error:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// The client may read and describe the topic, but not write: its metadata is complete, and only a record is refused.
async fn a_lost_right() {
    let broker: Broker = Broker::start_authorizing().expect("Kafka can be started");
    let right = |operation| Right { resource: Resource::Topic(ParcelBilled::TOPIC), operation };
    for operation in [Operation::Read, Operation::Create, Operation::DescribeConfigs, Operation::Write] {
        broker.grant(right(operation)).expect("the right is granted");
    }
    let mut config = config(&broker);
    config.patience = PATIENCE; // a slow machine is no refusal
    let kafka = Kafka::connect(config).expect("the configuration is valid");
    let app = App::builder("parcels").discover_part(module_path!()).aggregate(StateStored::<Parcel>::new());
    let app = app.transport(kafka).build().expect("the app builds");
    let running = app.start().await.expect("the app starts");
    moved(&app, 1..=3).await;
    settled_within(&[&app], PATIENCE).await.expect("all records are acknowledged");
    let (sender, number) = watch::channel(3);
    let load = tokio::spawn(load(app.clone(), sender));
    sleep(Duration::from_secs(1)).await;

    broker.revoke(right(Operation::Write)).expect("the right is taken away");
    let error = until_error(&app, true).await.expect("the topic waits");
    assert!(error.contains("topic refused.billing accepts no records"), "{error}");
    assert!(!error.contains(ParcelTracked::TOPIC), "{error}");
    // The loss of the right ends the producer, and what was in flight at that moment may be sent again. Records from this
    // number on are sent later, while further attempts are refused.
    until_all_wait(&app).await;
    let steady = *number.borrow() + 1;
    sleep(Duration::from_secs(6)).await;
    let goes_on = *number.borrow();
    let deadline = Instant::now() + PATIENCE;
    let reached = loop {
        let found = block_in_place(|| stored(&broker, ParcelTracked::TOPIC));
        if found.len() == KEYS as usize && found.values().all(|numbers| numbers.contains(&goes_on)) {
            break distinct(found);
        }
        assert!(Instant::now() < deadline, "the other topic does not go on");
    };
    assert!(reached.0.values().all(|numbers| is_in_order(numbers)), "the other topic goes on, in order");
    let held = block_in_place(|| stored(&broker, ParcelBilled::TOPIC));
    assert!(held.values().all(|numbers| numbers.last() < Some(&steady)), "the broker refuses the topic");

    // The records that have waited follow under load too.
    broker.grant(right(Operation::Write)).expect("the right is given back");
    sleep(Duration::from_secs(2)).await;
    drop(number);
    let last = load.await.expect("the parcels are moved") + 2;
    settled_within(&[&app], PATIENCE).await.expect("the records that waited are acknowledged");
    until_error(&app, false).await;
    moved(&app, last - 1..=last).await;
    settled_within(&[&app], PATIENCE).await.expect("all records are acknowledged");
    for topic in [ParcelBilled::TOPIC, ParcelTracked::TOPIC] {
        let (found, twice) = distinct(block_in_place(|| stored(&broker, topic)));
        assert_eq!(found.len(), KEYS as usize);
        for (key, numbers) in found {
            let out_of_order = numbers.iter().zip(1..).find(|(number, expected)| *number != expected);
            assert_eq!((numbers.len(), out_of_order), (last as usize, None), "{topic}, {key}: each record, in order");
        }
        let twice: Vec<_> = twice.into_iter().filter(|number| *number >= steady).collect();
        assert_eq!(twice, [0; 0], "{topic}: the attempts send no record twice");
    }
    assert!(running.stop(Duration::from_secs(10)).await);
}
/// Returns whether these are the numbers from 1 on.
fn is_in_order(numbers: &[u32]) -> bool {
    numbers.iter().zip(1..).all(|(number, expected)| *number == expected)
}
/// Returns the first occurrences of the numbers, and the numbers that occur again.
fn distinct(found: BTreeMap<String, Vec<u32>>) -> (BTreeMap<String, Vec<u32>>, Vec<u32>) {
    let (mut first, mut twice) = (BTreeMap::new(), Vec::new());
    for (key, numbers) in found {
        let mut seen = BTreeSet::new();
        let (new, again): (Vec<_>, Vec<_>) = numbers.into_iter().partition(|number| seen.insert(*number));
        first.insert(key, new);
        twice.extend(again);
    }
    (first, twice)
}
