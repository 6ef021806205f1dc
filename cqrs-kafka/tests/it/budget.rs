//! The byte budget of consumers: records that are read and not acknowledged.
use super::{config, publish_all, records, topic};
use cqrs_core::transport::{Signal, Transport};
use cqrs_kafka::Kafka;
use std::{collections::BTreeSet, time::Duration};
use test_support::{Kafka as Broker, Trials};
use tokio::time::{Instant, timeout};

pub(crate) fn trials() -> Trials {
    Trials::new().test("a group that acknowledges nothing reads no more than its budget, and later the rest", a_budget)
}

const COUNT: u64 = 100;
/// The size of a body, in bytes.
const LARGE: usize = 200_000;
const BUDGET: usize = 1 << 20;
/// The records with which the four partitions reach their shares.
const LAST: usize = 4 * LARGE;
/// Time in which records would arrive that are read beyond the budget.
const QUIET: Duration = Duration::from_secs(5);

async fn a_budget(broker: &'static Broker) {
    let (topic, mut config) = (topic(), config(broker));
    config.buffer_bytes = BUDGET;
    let kafka = Kafka::connect(config).unwrap();
    kafka.ensure_topics(&[&topic]).await.unwrap();
    let mut all = records(&topic, 1..=COUNT, COUNT);
    for record in &mut all {
        record.body = vec![b'x'; LARGE];
    }
    publish_all(&kafka, &all).await;
    let mut group = kafka.subscribe(&topic, &[&topic]).await.unwrap();
    let (mut read, mut last) = (Vec::new(), Instant::now() + Duration::from_secs(20));
    while let Ok(signal) = timeout(last + QUIET - Instant::now(), group.next()).await {
        if let Signal::Records(records) = signal.unwrap() {
            read.extend(records.into_iter().map(|record| (record.partition, record.offset)));
            last = Instant::now();
        }
    }
    let bytes = read.len() * LARGE;
    assert!(bytes > 0 && bytes <= BUDGET + LAST, "{bytes} bytes were read and not acknowledged");
    let mut numbers: BTreeSet<_> = read.iter().cloned().collect();
    for (partition, offset) in &read {
        group.acknowledge(partition, *offset);
    }
    while numbers.len() < COUNT as usize {
        let signal = timeout(Duration::from_secs(30), group.next()).await.expect("the next records arrive").unwrap();
        if let Signal::Records(records) = signal {
            for record in records {
                group.acknowledge(&record.partition, record.offset);
                numbers.insert((record.partition, record.offset));
            }
        }
    }
}
