//! Topics, lag and timestamps with a real broker.
use super::{config, publish_all, records, topic};
use cqrs_core::transport::{Signal, Transport};
use cqrs_kafka::Kafka;
use metrics_exporter_prometheus::PrometheusBuilder;
use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, Consumer},
};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use test_support::{Kafka as Broker, Trials};

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("processes create topics at the same time, and another number of partitions is refused", created_once)
        .test("the lag of a group is exported as a metric", lag)
        .test("the timestamp of a record is the time of sending, so its retention starts then", timestamp)
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
    [a, b, c, d].into_iter().for_each(|result| result.unwrap());
    let mut other = config(broker);
    other.partitions = 5;
    let other = Kafka::connect(other).unwrap();
    let error = other.ensure_topics(&names).await.unwrap_err();
    assert!(error.permanent && error.to_string().contains("has 4 partitions, but 5 are configured"), "{error}");
    let mut other = config(broker);
    other.create_topics = false;
    let other = Kafka::connect(other).unwrap();
    other.ensure_topics(&names).await.unwrap();
    let error = other.ensure_topics(&[&topic()]).await.unwrap_err();
    let missing = "does not exist: create it, or set `create_topics`";
    assert!(error.permanent && error.to_string().ends_with(missing), "{error}");
}

async fn lag(broker: &'static Broker) {
    let recorder = PrometheusBuilder::new().install_recorder().expect("no other test installs a recorder");
    let mut config = config(broker);
    config.prefix = "lag.".into(); // the metric has the names without it
    let (topic, kafka) = (topic(), Kafka::connect(config).unwrap());
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
    let line = |records| format!("cqrs_group_lag_records{{group=\"{topic}\",topic=\"{topic}\"}} {records}");
    // The lag is measured every five seconds.
    let wait_for_lag = async |records| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !recorder.render().contains(&line(records)) {
            assert!(Instant::now() < deadline, "no {} in\n{}", line(records), recorder.render());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    wait_for_lag(3).await;
    group.acknowledge(&read[4].partition, read[4].offset);
    wait_for_lag(0).await;
}

async fn timestamp(broker: &'static Broker) {
    let (topic, kafka) = (topic(), Kafka::connect(config(broker)).unwrap());
    kafka.ensure_topics(&[&topic]).await.unwrap();
    publish_all(&kafka, &records(&topic, 1..=1, 1)).await;
    let read = tokio::task::spawn_blocking(move || {
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", broker.bootstrap());
        settings.set("group.id", &topic).set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = settings.create().unwrap();
        consumer.subscribe(&[&topic]).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match consumer.poll(Duration::from_secs(1)) {
                Some(message) => break message.expect("the record is readable").timestamp().to_millis(),
                None => assert!(Instant::now() < deadline, "no record arrived"), // a rebalance ends a poll as well
            }
        }
    });
    let sent = UNIX_EPOCH + Duration::from_millis(read.await.unwrap().expect("the record has a timestamp") as u64);
    let age = SystemTime::now().duration_since(sent).unwrap();
    assert!(age < Duration::from_secs(60), "retention uses the timestamp, which must be the time of sending");
}
