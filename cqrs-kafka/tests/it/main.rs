//! The integration tests: the conformance suite of all transports, and tests of Kafka with a real, a broken and a mock
//! broker.
mod budget; // records that are read and not acknowledged
#[cfg(feature = "tls")]
mod deployed; // the broker of the deployment, with its passwords and rights
mod faults; // a broker that is killed and frozen
mod foreign; // a topic of another producer, read by a decoder of the app
mod identity; // a topic that was created again, and records that were dropped
mod mock; // librdkafka's mock broker, with errors on demand
mod no_brokers; // a broker that names no broker for a time
mod owner; // a topic that does not exist yet, and its number of partitions
mod prefix; // several deployments on one cluster
mod refused; // a topic that the broker refuses for a time
#[cfg(feature = "tls")]
mod rotation; // certificates and passwords that are changed while clients run
#[cfg(feature = "tls")]
mod tls; // certificates and passwords
mod topics; // creation and checks of topics, lag, timestamps

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
        .group("budget", budget::trials())
        .group("faults", faults::trials())
        .group("foreign", foreign::trials())
        .group("identity", identity::trials())
        .group("no brokers", no_brokers::trials())
        .group("owner", owner::trials())
        .group("prefix", prefix::trials())
        .group("refused", refused::trials())
        .group("mock", mock::trials());
    #[cfg(feature = "tls")]
    let trials = trials.group("tls", tls::trials()).group("tls", rotation::trials()).group("tls", deployed::trials());
    trials.run()
}

struct Real(&'static Broker);
impl Fresh for Real {
    fn connect(&self) -> Arc<dyn Transport> {
        let mut config = config(self.0);
        config.prefix = "conformance.".into(); // every case also shows that names are translated
        Arc::new(Kafka::connect(config).expect("the configuration is valid"))
    }
    fn stores(&self) -> bool {
        true
    }
}

fn config(broker: &Broker) -> KafkaConfig {
    let mut config = KafkaConfig::new(broker.bootstrap());
    (config.partitions, config.replication) = (4, Some(1));
    config
}

fn topic() -> String {
    format!("it-{}", uuid::Uuid::now_v7())
}

/// Returns a record for each number, with `keys` keys in turn and the Unix epoch as the time of the commit.
fn records(topic: &str, numbers: std::ops::RangeInclusive<u64>, keys: u64) -> Vec<Record> {
    let record = |number: u64| Record {
        topic: topic.to_owned(),
        key: format!("key-{}", number % keys),
        body: number.to_string().into_bytes(),
        headers: vec![],
        service: "user".into(),
        shard: 1,
        position: Position(number),
        occurred_at: Timestamp::UNIX_EPOCH,
    };
    numbers.map(record).collect()
}

/// Publishes all records as the relay does: repeatedly a window that starts at the first unacknowledged record.
async fn publish_all(kafka: &Kafka, records: &[Record]) {
    let mut acknowledged = 0;
    while acknowledged < records.len() {
        let window = &records[acknowledged..records.len().min(acknowledged + 500)];
        let published = kafka.publish(&Audience::broker(), window).await;
        acknowledged += published.acknowledged;
        if let Some(error) = published.error {
            assert!(!error.permanent, "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
