//! A topic that is deleted and created again, and records that the broker drops before they are read.
use super::{config, publish_all, records, topic};
use cqrs_core::{
    App, BoxError, Dep, IntegrationEvent, Recorded,
    storage::Memory,
    subscriber,
    transport::{Partition, Record, Signal, Transport},
};
use cqrs_kafka::Kafka;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};
use serde::{Deserialize, Serialize};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use test_support::{Kafka as Broker, Trials};
use uuid::Uuid;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("a topic that was created again is read once it is accepted, from its first record", recreated)
        .test("a group is told of the records that the broker dropped before it read them", dropped)
}

#[derive(Debug, Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "order.placed", topic = "recreated.orders", key = order)]
struct OrderPlaced {
    order: String,
}
const TOPIC: &str = "recreated.orders";
type Orders = Mutex<Vec<String>>;

#[subscriber(group = "recreated.shipping")]
async fn ship(order: Recorded<OrderPlaced>, orders: Dep<Orders>) -> Result<(), BoxError> {
    orders.lock().unwrap().push(order.event.order);
    Ok(())
}

fn admin(broker: &Broker) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", broker.bootstrap()).create().unwrap()
}
/// Returns a record for each number, each with an id of its own.
fn orders(numbers: std::ops::RangeInclusive<u64>) -> Vec<Record> {
    let mut all = records(TOPIC, numbers, 1);
    for record in &mut all {
        let order = OrderPlaced { order: String::from_utf8(record.body.clone()).unwrap() };
        record.body = order.encode().unwrap();
        let header = |name: &str, value: String| (name.to_owned(), value);
        record.headers = vec![
            header("ce_id", Uuid::now_v7().to_string()),
            header("ce_type", OrderPlaced::NAME.into()),
            header("content-type", OrderPlaced::CONTENT_TYPE.into()),
        ];
    }
    all
}
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(Instant::now() < deadline, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn recreated(broker: &'static Broker) {
    let (memory, handled) = (Memory::new(), Arc::new(Orders::default()));
    let app = || {
        let app =
            App::builder("shipping").discover_part(module_path!()).provide(handled.clone()).storage(memory.clone());
        app.transport(Kafka::connect(config(broker)).unwrap()).build().unwrap()
    };
    let publish = async |numbers| {
        let kafka = Kafka::connect(config(broker)).unwrap();
        kafka.ensure_topics(&[TOPIC]).await.unwrap();
        publish_all(&kafka, &orders(numbers)).await;
    };
    let count = || handled.lock().unwrap().len();
    publish(1..=3).await;
    let background = app().start().await.unwrap();
    until("three orders", async || count() == 3).await;
    assert!(background.stop(Duration::from_secs(10)).await);

    let admin = admin(broker);
    admin.delete_topics(&[TOPIC], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
    until("the topic to be deleted", async || {
        let kafka = Kafka::connect(config(broker)).unwrap();
        kafka.topic_identities(&[TOPIC]).await.unwrap() == [None]
    })
    .await;
    publish(4..=8).await;
    let app = app();
    let background = app.start().await.unwrap();
    let error = async || {
        let components = app.health().await.components;
        components.into_iter().find(|component| component.name == "topics").and_then(|topics| topics.error)
    };
    until("the topic to be refused", async || error().await.is_some()).await;
    assert_eq!(count(), 3);
    until("the operator's acceptance", async || match app.accept_topic(TOPIC).await {
        Ok(accepted) => accepted.was_refused,
        Err(fault) => {
            assert!(fault.is_transient(), "{fault}");
            false
        }
    })
    .await;
    until("the orders of the new topic", async || count() == 8).await;
    assert_eq!(error().await, None);
    assert!(background.stop(Duration::from_secs(10)).await);
}

async fn dropped(broker: &'static Broker) {
    let (topic, kafka) = (topic(), Kafka::connect(config(broker)).unwrap());
    kafka.ensure_topics(&[&topic]).await.unwrap();
    publish_all(&kafka, &records(&topic, 1..=10, 1)).await;
    let mut group = kafka.subscribe(&topic, &[&topic]).await.unwrap();
    let mut read = Vec::new();
    while read.len() < 10 {
        if let Signal::Records(records) = group.next().await.unwrap() {
            read.extend(records);
        }
    }
    let partition = read[2].partition.clone();
    group.acknowledge(&partition, read[2].offset);
    drop(group);
    kafka.close().await;

    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&topic, partition.part.parse().unwrap(), Offset::Offset(7)).unwrap();
    admin(broker).delete_records(&before, &AdminOptions::new()).await.unwrap();
    let mut group = kafka.subscribe(&topic, &[&topic]).await.unwrap();
    let mut lost = None;
    let first = loop {
        match group.next().await.unwrap() {
            Signal::Lost { partition, offsets } => lost = Some((partition, offsets)),
            Signal::Records(records) => break records[0].offset,
            Signal::Assigned(_) | Signal::Revoked(..) => {}
        }
    };
    let other = Partition { part: if partition.part == "0" { "1" } else { "0" }.into(), ..partition.clone() };
    let of = [partition.clone(), other];
    assert_eq!(
        kafka.first_offsets(&of).await.unwrap(),
        [7, 0],
        "of a partition with removed records, and of another one"
    );
    assert_eq!((lost, first), (Some((partition, 3..7)), 7));
    // A group that has read nothing has lost nothing.
    let mut late = kafka.subscribe(&format!("{topic}-late"), &[&topic]).await.unwrap();
    loop {
        match late.next().await.unwrap() {
            Signal::Lost { offsets, .. } => panic!("a new group has lost {offsets:?}"),
            Signal::Records(_) => break,
            Signal::Assigned(_) | Signal::Revoked(..) => {}
        }
    }
}
