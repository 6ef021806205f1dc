//! What only a real broker does: topics that are created, work in flight that is waited for and then not.
use cqrs_core::transport::{Audience, Record, Signal, Transport};
use cqrs_core::{Position, Timestamp};
use cqrs_kafka::{Kafka, KafkaConfig};
use std::{
    pin::Pin,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::time::timeout;
use uuid::Uuid;

pub(crate) type Tests = Vec<(&'static str, fn(String) -> Pin<Box<dyn Future<Output = ()>>>)>;

pub(crate) fn tests() -> Tests {
    vec![
        ("topics are created once, by many at a time, and a mismatch is refused", |brokers| Box::pin(topics(brokers))),
        ("work that is never finished does not hold a partition for ever", |brokers| Box::pin(patience(brokers))),
        ("a record that was committed long ago is not deleted for its age", |brokers| Box::pin(age(brokers))),
    ]
}

pub(crate) fn config(brokers: &str) -> KafkaConfig {
    KafkaConfig { partitions: 4, replication: Some(1), ..KafkaConfig::new(brokers) }
}
pub(crate) fn topic() -> String {
    format!("it-{}", Uuid::now_v7())
}
pub(crate) fn record(topic: &str, position: u64) -> Record {
    Record {
        topic: topic.to_owned(),
        key: format!("key-{position}"),
        body: vec![],
        headers: vec![],
        service: "user".into(),
        lane: 1,
        position: Position(position),
        at: Timestamp::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
    }
}
async fn publish_all(kafka: &Kafka, records: &[Record]) {
    let mut done = 0;
    while done < records.len() {
        done += kafka.publish(&Audience::broker(), &records[done..]).await.acknowledged;
    }
}

async fn topics(brokers: String) {
    let topics = [topic(), topic()];
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let services: Vec<_> = (0..4).map(|_| Kafka::connect(config(&brokers)).unwrap()).collect();
    let (a, b, c, d) = tokio::join!(
        services[0].ensure_topics(&names),
        services[1].ensure_topics(&names),
        services[2].ensure_topics(&names),
        services[3].ensure_topics(&names),
    );
    [a, b, c, d].into_iter().for_each(|done| done.unwrap());
    let other = Kafka::connect(KafkaConfig { partitions: 5, ..config(&brokers) }).unwrap();
    let error = other.ensure_topics(&names).await.unwrap_err();
    assert!(error.permanent && error.to_string().contains("has 4 partitions, configured are 5"), "{error}");
    let other = Kafka::connect(KafkaConfig { create_topics: false, ..config(&brokers) }).unwrap();
    other.ensure_topics(&names).await.unwrap();
    let error = other.ensure_topics(&[&topic()]).await.unwrap_err();
    assert!(error.permanent && error.to_string().ends_with("is not there, and is not to be created"), "{error}");
}

async fn patience(brokers: String) {
    let (topic, drain) = (topic(), Duration::from_millis(500));
    let kafka = Kafka::connect(KafkaConfig { drain, ..config(&brokers) }).unwrap();
    kafka.ensure_topics(&[&topic]).await.unwrap();
    publish_all(&kafka, &(1..=40).map(|it| record(&topic, it)).collect::<Vec<_>>()).await;
    let mut first = kafka.subscribe(&topic, &[&topic]).await.unwrap();
    let mut held = 0;
    while held < 40 {
        if let Signal::Records(records) = first.next().await.unwrap() {
            held += records.len();
        }
    }
    let mut second = kafka.subscribe(&topic, &[&topic]).await.unwrap();
    let taken = async {
        let mut never = Vec::new(); // `Drained` is kept and nothing acknowledged
        loop {
            tokio::select! {
                signal = first.next() => if let Signal::Revoked(_, drained) = signal.unwrap() { never.push(drained) },
                signal = second.next() => if let Signal::Records(records) = signal.unwrap() { break records },
            }
        }
    };
    let records = timeout(Duration::from_secs(30), taken).await.expect("the other gets the partition");
    assert_eq!(records[0].offset, 0, "from the first that was not acknowledged");
}

async fn age(brokers: String) {
    use rdkafka::{
        ClientConfig, Message,
        consumer::{BaseConsumer, Consumer},
    };
    let (topic, kafka) = (topic(), Kafka::connect(config(&brokers)).unwrap());
    kafka.ensure_topics(&[&topic]).await.unwrap();
    publish_all(&kafka, &[record(&topic, 1)]).await;
    let read = tokio::task::spawn_blocking(move || {
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", brokers).set("group.id", &topic).set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = settings.create().unwrap();
        consumer.subscribe(&[&topic]).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        let message = loop {
            match consumer.poll(Duration::from_secs(1)) {
                Some(message) => break message.expect("a record"),
                None => assert!(Instant::now() < until, "no record"), // a rebalance ends a poll as well
            }
        };
        (message.timestamp().to_millis(), message.payload().map(<[u8]>::to_vec))
    });
    let (timestamp, body) = read.await.unwrap();
    let age = SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_millis(timestamp.unwrap() as u64));
    assert!(age.unwrap() < Duration::from_secs(60), "retention goes by the timestamp: it is the time of sending");
    assert_eq!(body, Some(vec![]), "empty is empty, never a tombstone");
}
