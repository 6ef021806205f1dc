//! The owner of a topic, which creates it, and the services that only subscribe to it.
use super::{config, identity::until, publish_all, records, topic};
use async_trait::async_trait;
use cqrs_core::{
    App, BoxError, Change, Dep, IntegrationEvent, Recorded, View, projection,
    storage::Memory,
    subscriber,
    testing::TransportLayer,
    transport::{Record, Subscription, Transport, TransportError},
};
use cqrs_kafka::{ConfigError, Kafka, KafkaConfig};
use serde::{Deserialize, Serialize};
use std::{
    error::Error,
    ops::RangeInclusive,
    sync::{Arc, Mutex},
    time::Duration,
};
use test_support::{Kafka as Broker, Trials};
use uuid::Uuid;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("a service that starts before the owner of a topic reads every record, of any number of partitions", late)
        .test("seeded: a service that creates a topic of another owner is detected", seeded)
        .test("a topic that is too long with its prefix stops the start, although no broker responds", too_long)
}

#[derive(Debug, Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "owned.order.placed", topic = "owned.orders", key = order)]
struct OrderPlaced {
    order: String,
}
const TOPIC: &str = "owned.orders";
type Orders = Mutex<Vec<String>>;

#[subscriber(group = "owned.shipping")]
async fn ship(order: Recorded<OrderPlaced>, orders: Dep<Orders>) -> Result<(), BoxError> {
    orders.lock().unwrap().push(order.event.order);
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "owned-orders", key = String)]
struct Count {
    orders: u64,
}
#[projection(name = "owned-orders")]
fn count(_: &OrderPlaced) -> Change<Count> {
    let count = |found: Option<Count>| Some(Count { orders: found.map_or(0, |count| count.orders) + 1 });
    Change::none().and("all".to_owned(), count)
}

/// Returns a record for each number, each with an id and a key of its own.
fn orders(numbers: RangeInclusive<u64>) -> Vec<Record> {
    let mut all = records(TOPIC, numbers, 20);
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

/// A service that subscribes to the topic and publishes to none.
struct Subscribing {
    app: App,
    orders: Arc<Orders>,
}
impl Subscribing {
    fn new(transport: impl Transport, memory: &Memory) -> Self {
        let orders = Arc::new(Orders::default());
        let app = App::builder("shipping").discover_part(module_path!()).provide(orders.clone());
        Subscribing { app: app.storage(memory.clone()).transport(transport).build().unwrap(), orders }
    }
    async fn error(&self, component: &str) -> Option<String> {
        let health = self.app.health().await;
        assert!(health.is_ready(), "{health:?}");
        health.components.into_iter().find(|found| found.name == component).and_then(|found| found.error)
    }
    async fn counted(&self) -> u64 {
        let found = self.app.storage().views("owned-orders", &["all".to_owned()]).await.unwrap().pop();
        let value = found.and_then(|view| view.value);
        value.map_or(0, |value| serde_json::from_slice::<Count>(&value).unwrap().orders)
    }
    async fn has(&self, count: u64) {
        until(&format!("{count} orders"), async || self.counted().await == count).await;
        let handled = || self.orders.lock().unwrap().len() as u64;
        until("the subscriber", async || handled() == count).await;
    }
}

async fn late(broker: &'static Broker) {
    scenario(broker, |kafka| kafka).await.unwrap();
}

/// Starts a service before the owner of its topic, which has another number of partitions, and starts it again after it.
/// Returns an error when the service has created the topic.
async fn scenario<T: Transport>(broker: &'static Broker, layer: impl Fn(Kafka) -> T) -> Result<(), String> {
    let prefix = format!("{}.", topic());
    let connect = |partitions| {
        let mut config = config(broker);
        (config.partitions, config.prefix) = (partitions, prefix.clone());
        Kafka::connect(config).unwrap()
    };
    let (owner, memory) = (connect(7), Memory::new());
    let early = Subscribing::new(layer(connect(4)), &memory);
    let background = early.app.start().await.unwrap();
    if owner.missing_topics(&[TOPIC]).await.unwrap() != [TOPIC] {
        return Err(format!("{TOPIC} was created by a service that does not publish to it"));
    }
    until("health to name the topic", async || {
        early.error("topics").await.as_deref() == Some("topic owned.orders does not exist yet; its owner creates it")
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(early.error("jobs").await, None, "waiting is no failure");
    assert_eq!(owner.missing_topics(&[TOPIC]).await.unwrap(), [TOPIC]);

    owner.ensure_topics(&[TOPIC]).await.unwrap();
    publish_all(&owner, &orders(1..=100)).await;
    early.has(100).await;
    until("health to find the topic", async || early.error("topics").await.is_none()).await;
    assert!(background.stop(Duration::from_secs(10)).await);

    publish_all(&owner, &orders(101..=110)).await;
    let later = Subscribing::new(layer(connect(4)), &memory);
    let background = later.app.start().await.unwrap();
    until("the orders meanwhile", async || later.counted().await == 110).await;
    until("the subscriber", async || later.orders.lock().unwrap().len() == 10).await;
    assert_eq!(later.error("topics").await, None);
    assert!(background.stop(Duration::from_secs(10)).await);
    Ok(())
}

/// Creates the topics that it subscribes to.
struct CreatesSubscribed(Kafka);
#[async_trait]
impl TransportLayer for CreatesSubscribed {
    fn inner(&self) -> &dyn Transport {
        &self.0
    }
    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        self.0.ensure_topics(topics).await?;
        self.0.subscribe(group, topics).await
    }
}
async fn seeded(broker: &'static Broker) {
    scenario(broker, CreatesSubscribed).await.expect_err("the topic exists before its owner has started");
}

async fn too_long() {
    let mut config = KafkaConfig::new("127.0.0.1:1");
    config.prefix = "p".repeat(240);
    let app = Subscribing::new(Kafka::connect(config).unwrap(), &Memory::new()).app;
    let fault = app.start().await.expect_err("the topic is too long");
    let mut cause: Option<&(dyn Error + 'static)> = Some(&fault);
    let refused = loop {
        let error = cause.unwrap_or_else(|| panic!("no ConfigError behind {fault:?}"));
        match error.downcast_ref::<ConfigError>() {
            Some(refused) => break refused,
            None => cause = error.source(),
        }
    };
    assert_eq!(*refused, ConfigError::Topic(format!("{}{TOPIC}", "p".repeat(240))));
}
