//! One binary: what every transport promises, what only a real broker does, and what only a broken one shows.
mod faults; // the broker is killed and frozen
mod mock; // librdkafka's broker in this process: errors on demand
#[cfg(feature = "tls")]
mod tls; // certificates and passwords
mod topics; // created, checked; timestamps

use cqrs_core::{
    Position, Timestamp,
    testing::conformance::transport::{Fresh, cases},
    transport::{Audience, Record, Transport},
};
use cqrs_kafka::{Kafka, KafkaConfig};
use std::{process::ExitCode, sync::Arc, time::Duration};
use test_support::{Kafka as Broker, Trials};

fn main() -> ExitCode {
    let suite = cases().into_iter().fold(Trials::new(), |trials, case| {
        trials.test(case.name, move |broker: &'static Broker| (case.run)(Arc::new(Real(broker))))
    });
    let trials = Trials::new()
        .group("transport", suite)
        .group("topics", topics::trials())
        .group("faults", faults::trials())
        .group("mock", mock::trials());
    #[cfg(feature = "tls")]
    let trials = trials.group("tls", tls::trials());
    trials.run()
}

struct Real(&'static Broker);
impl Fresh for Real {
    fn connect(&self) -> Arc<dyn Transport> {
        Arc::new(Kafka::connect(config(self.0)).expect("the configuration is fine"))
    }
    fn stores(&self) -> bool {
        true
    }
}

fn config(broker: &Broker) -> KafkaConfig {
    KafkaConfig { partitions: 4, replication: Some(1), ..KafkaConfig::new(broker.bootstrap()) }
}

fn topic() -> String {
    format!("it-{}", uuid::Uuid::now_v7())
}

/// Numbered from 1; the keys in turn; of long ago.
fn records(topic: &str, numbers: std::ops::RangeInclusive<u64>, keys: u64) -> Vec<Record> {
    let record = |number: u64| Record {
        topic: topic.to_owned(),
        key: format!("key-{}", number % keys),
        body: number.to_string().into_bytes(),
        headers: vec![],
        service: "user".into(),
        lane: 1,
        position: Position(number),
        at: Timestamp::UNIX_EPOCH,
    };
    numbers.map(record).collect()
}

/// As the relay does: a window from where it stands, again and again.
async fn publish_all(kafka: &Kafka, records: &[Record]) {
    let mut done = 0;
    while done < records.len() {
        let window = &records[done..records.len().min(done + 500)];
        let published = kafka.publish(&Audience::broker(), window).await;
        done += published.acknowledged;
        if let Some(error) = published.error {
            assert!(!error.permanent, "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
