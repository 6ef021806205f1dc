//! Topics and what lies in them, as only a real broker has it.
use super::{config, publish_all, records, topic};
use cqrs_core::transport::{Signal, Transport};
use cqrs_kafka::{Kafka, KafkaConfig};
use metrics_exporter_prometheus::PrometheusBuilder;
use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, Consumer},
};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use test_support::{Kafka as Broker, Trials};

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("are created once, by many at a time, and a mismatch is refused", created_once)
        .test("how far a group is behind is told", lag)
        .test("a record that was committed long ago is not deleted for its age", not_deleted_for_its_age)
}

async fn created_once(broker: &'static Broker) {
    let topics = [topic(), topic()];
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let services: Vec<_> = (0..4).map(|_| Kafka::connect(config(broker)).unwrap()).collect();
    let (a, b, c, d) = tokio::join!(
        services[0].ensure_topics(&names),
        services[1].ensure_topics(&names),
        services[2].ensure_topics(&names),
        services[3].ensure_topics(&names),
    );
    [a, b, c, d].into_iter().for_each(|done| done.unwrap());
    let other = Kafka::connect(KafkaConfig { partitions: 5, ..config(broker) }).unwrap();
    let error = other.ensure_topics(&names).await.unwrap_err();
    assert!(error.permanent && error.to_string().contains("has 4 partitions, configured are 5"), "{error}");
    let other = Kafka::connect(KafkaConfig { create_topics: false, ..config(broker) }).unwrap();
    other.ensure_topics(&names).await.unwrap();
    let error = other.ensure_topics(&[&topic()]).await.unwrap_err();
    assert!(error.permanent && error.to_string().ends_with("is not there, and is not to be created"), "{error}");
}

async fn lag(broker: &'static Broker) {
    let recorder = PrometheusBuilder::new().install_recorder().expect("no other test has one");
    let (topic, kafka) = (topic(), Kafka::connect(config(broker)).unwrap());
    kafka.ensure_topics(&[&topic]).await.unwrap();
    publish_all(&kafka, &records(&topic, 1..=5, 1)).await;
    let mut group = kafka.subscribe(&topic, &[&topic]).await.unwrap();
    let mut read = Vec::new();
    while read.len() < 5 {
        if let Signal::Records(records) = group.next().await.unwrap() {
            read.extend(records);
        }
    }
    group.acknowledge(&read[1].partition, read[1].offset);
    let line = |behind| format!("cqrs_group_lag_records{{group=\"{topic}\",topic=\"{topic}\"}} {behind}");
    // Counted every five seconds.
    let until = async |behind| {
        let until = Instant::now() + Duration::from_secs(60);
        while !recorder.render().contains(&line(behind)) {
            assert!(Instant::now() < until, "no {} in\n{}", line(behind), recorder.render());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    until(3).await;
    group.acknowledge(&read[4].partition, read[4].offset);
    until(0).await;
}

async fn not_deleted_for_its_age(broker: &'static Broker) {
    let (topic, kafka) = (topic(), Kafka::connect(config(broker)).unwrap());
    kafka.ensure_topics(&[&topic]).await.unwrap();
    publish_all(&kafka, &records(&topic, 1..=1, 1)).await;
    let read = tokio::task::spawn_blocking(move || {
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", broker.bootstrap());
        settings.set("group.id", &topic).set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = settings.create().unwrap();
        consumer.subscribe(&[&topic]).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            match consumer.poll(Duration::from_secs(1)) {
                Some(message) => break message.expect("a record").timestamp().to_millis(),
                None => assert!(Instant::now() < until, "no record"), // a rebalance ends a poll as well
            }
        }
    });
    let sent = UNIX_EPOCH + Duration::from_millis(read.await.unwrap().expect("a timestamp") as u64);
    let age = SystemTime::now().duration_since(sent).unwrap();
    assert!(age < Duration::from_secs(60), "retention goes by the timestamp: it is the time of sending");
}
