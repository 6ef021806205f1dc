//! A topic that a real broker refuses for a time: the records of another topic go on, and each record is stored once.
use super::config;
use cqrs_core::{
    Aggregate, App, Command, Event, Evolve, HandlerResult, Infallible, IntegrationEvent, Recorded, Repo, StateStored,
    handler, publish,
    testing::settled_within,
    transport::{Signal, Transport},
};
use cqrs_kafka::Kafka;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use test_support::{Kafka as Broker, Operation, Resource, Right, Trials};
use tokio::time::{sleep, timeout};

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("without the right on one topic the others go on, and its records follow once, in order", a_lost_right)
        .within(Duration::from_secs(240))
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

async fn moved(app: &App, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        for key in 0..KEYS {
            app.send(Move { id: format!("parcel {key}"), number }).await.expect("the parcel is moved");
        }
    }
}
/// Reads a topic as a new group until it has this many records or a minute has passed, and returns the numbers by key.
async fn numbers(kafka: &Kafka, topic: &str, count: usize) -> BTreeMap<String, Vec<u32>> {
    let group = format!("reader-{}", uuid::Uuid::now_v7());
    let mut subscription = kafka.subscribe(&group, &[topic]).await.expect("the group joins");
    let (mut found, mut read) = (BTreeMap::<String, Vec<u32>>::new(), 0);
    // After the last record there is time for one that is stored twice.
    let mut patience = Duration::from_secs(60);
    while let Ok(signal) = timeout(patience, subscription.next()).await {
        let Signal::Records(records) = signal.expect("the broker can be reached") else { continue };
        for record in records {
            let tracked: ParcelTracked = serde_json::from_slice(&record.body.expect("a body")).expect("a parcel");
            found.entry(tracked.id).or_default().push(tracked.number);
            read += 1;
        }
        if read >= count {
            patience = Duration::from_secs(2);
        }
    }
    found
}
async fn until_error(app: &App, has_error: bool) -> Option<String> {
    let deadline = Instant::now() + Duration::from_secs(60);
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
    let kafka = || Kafka::connect(config(&broker)).expect("the configuration is valid");
    let app = App::builder("parcels").discover_part(module_path!()).aggregate(StateStored::<Parcel>::new());
    let app = app.transport(kafka()).build().expect("the app builds");
    let running = app.start().await.expect("the app starts");
    moved(&app, 1..=3).await;
    settled_within(&[&app], Duration::from_secs(60)).await.expect("all records are acknowledged");

    broker.revoke(right(Operation::Write)).expect("the right is taken away");
    moved(&app, 4..=6).await;
    let error = until_error(&app, true).await.expect("the topic waits");
    assert!(error.contains("topic refused.billing accepts no records"), "{error}");
    assert!(!error.contains(ParcelTracked::TOPIC), "{error}");
    // Several attempts are refused while records of the other topic are on their way.
    for number in 7..=16 {
        moved(&app, number..=number).await;
        sleep(Duration::from_millis(500)).await;
    }
    let reader = kafka();
    let all = |last| (0..KEYS).map(|key| (format!("parcel {key}"), (1..=last).collect())).collect::<BTreeMap<_, _>>();
    let count = |last: u32| (KEYS * last) as usize;
    let tracked = distinct(numbers(&reader, ParcelTracked::TOPIC, count(16)).await);
    assert_eq!(tracked.0, all(16), "the other topic goes on, in order");
    assert_eq!(distinct(numbers(&reader, ParcelBilled::TOPIC, count(3)).await).0, all(3));

    broker.grant(right(Operation::Write)).expect("the right is given back");
    settled_within(&[&app], Duration::from_secs(60)).await.expect("the records that waited are acknowledged");
    until_error(&app, false).await;
    moved(&app, 17..=18).await;
    settled_within(&[&app], Duration::from_secs(60)).await.expect("all records are acknowledged");
    let billed = distinct(numbers(&reader, ParcelBilled::TOPIC, count(18)).await);
    let tracked = distinct(numbers(&reader, ParcelTracked::TOPIC, count(18)).await);
    assert_eq!((billed.0, tracked.0), (all(18), all(18)));
    // The loss of the right ends the producer once, and what was in flight at that moment is sent again. The attempts
    // afterwards send nothing twice.
    assert!(tracked.1 <= count(3), "{} records were stored twice", tracked.1);
    assert!(running.stop(Duration::from_secs(10)).await);
}
/// Returns the first occurrences of the numbers, and how many there are beside them.
fn distinct(found: BTreeMap<String, Vec<u32>>) -> (BTreeMap<String, Vec<u32>>, usize) {
    let mut twice = 0;
    let mut first = BTreeMap::<String, Vec<u32>>::new();
    for (key, numbers) in found {
        let seen = first.entry(key).or_default();
        for number in numbers {
            if seen.contains(&number) {
                twice += 1;
            } else {
                seen.push(number);
            }
        }
    }
    (first, twice)
}
