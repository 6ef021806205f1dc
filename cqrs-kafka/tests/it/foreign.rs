//! A topic of another producer: records of plain librdkafka, which a decoder of the app reads.
use super::config;
use cqrs_core::{App, BoxError, Dep, IntegrationEvent, Recorded, subscriber, transport::ForeignMessage};
use cqrs_kafka::Kafka;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    producer::{FutureProducer, FutureRecord},
};
use serde::{Deserialize, Serialize};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use test_support::{Kafka as Broker, Trials};

pub(crate) fn trials() -> Trials {
    Trials::new().test("records of a plain producer are decoded, and an undecodable one is parked unchanged", decoded)
}

const TOPIC: &str = "legacy.orders";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "legacy.order.placed", topic = "legacy.orders", key = order)]
struct LegacyOrder {
    order: String,
}

#[derive(Default)]
struct Orders(Mutex<Vec<Recorded<LegacyOrder>>>);
impl Orders {
    fn all(&self) -> Vec<Recorded<LegacyOrder>> {
        self.0.lock().unwrap().clone()
    }
}

#[subscriber(group = "shipping.legacy-orders")]
async fn ship(order: Recorded<LegacyOrder>, orders: Dep<Orders>) -> Result<(), BoxError> {
    orders.0.lock().unwrap().push(order);
    Ok(())
}
const GROUP: &str = "shipping.legacy-orders";

async fn decoded(broker: &'static Broker) {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", broker.bootstrap());
    // Another number of partitions than the app configures for topics of its own.
    let admin: AdminClient<DefaultClientContext> = settings.create().unwrap();
    let topic = NewTopic::new(TOPIC, 3, TopicReplication::Fixed(1));
    admin.create_topics([&topic], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();

    let orders = Arc::new(Orders::default());
    let app = App::builder("shipping").discover_part(module_path!()).provide(orders.clone());
    let app = app.transport(Kafka::connect(config(broker)).unwrap()).foreign_topic(TOPIC, |record| {
        let order: LegacyOrder = serde_json::from_slice(record.body.as_deref().unwrap_or_default())?;
        Ok(Some(ForeignMessage::new(&order)?))
    });
    let app = app.build().unwrap();
    let background = app.start().await.unwrap();

    let producer: FutureProducer = settings.create().unwrap();
    for (key, body) in [("kim", r#"{"order":"1"}"#), ("lee", "no JSON"), ("kim", r#"{"order":"2"}"#)] {
        let record = FutureRecord::to(TOPIC).key(key).payload(body).timestamp(1_700_000_000_123);
        producer.send(record, Duration::from_secs(20)).await.unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    let parked = loop {
        let parked = app.parked().show(GROUP, "lee", 0, 9).await.unwrap();
        if orders.all().len() == 2 && !parked.is_empty() {
            break parked;
        }
        assert!(Instant::now() < deadline, "{:?} and {parked:?}", orders.all());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let found = orders.all();
    assert_eq!(found.iter().map(|order| order.event.order.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    assert!(found.iter().all(|order| order.occurred_at.timestamp_millis() == 1_700_000_000_123), "{found:?}");
    assert_ne!(found[0].id, found[1].id);
    let record = parked[0].record.as_ref().expect("the record came from a topic");
    assert_eq!((record.body.as_deref(), record.headers.len()), (Some(&b"no JSON"[..]), 0));
    assert_eq!(record.timestamp.map(|time| time.timestamp_millis()), Some(1_700_000_000_123));
    assert!(parked[0].error.ends_with("malformed JSON at line 1 column 2"), "{}", parked[0].error);
    background.stop(Duration::from_secs(5)).await;
}
