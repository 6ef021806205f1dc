//! Faults: the broker is killed or frozen while records are published and read, or the work on a record never ends.
use super::{config, publish_all, records, topic};
use cqrs_core::transport::{Received, Signal, Subscription, Transport};
use cqrs_kafka::Kafka;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use test_support::{Kafka as Broker, Trials};
use tokio::{
    sync::Barrier,
    time::{sleep, timeout},
};

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("no record is lost when the broker is killed and restarted", async |broker: Broker| {
            interrupted(&broker, async || {
                broker.kill()?;
                sleep(Duration::from_secs(2)).await;
                broker.start_again()
            })
            .await
        })
        .within(LONG)
        .test("no record is lost when the broker freezes and resumes", async |broker: Broker| {
            interrupted(&broker, async || {
                broker.freeze()?;
                sleep(Duration::from_secs(8)).await;
                broker.thaw()
            })
            .await
        })
        .within(LONG)
        .test("a revoked partition is released although the work on it never ends", a_revoked_partition_is_released)
}

const COUNT: u64 = 20_000;
/// Time limit of a test with a rebalance and a request that times out, on a busy machine.
const LONG: Duration = Duration::from_secs(240);

/// Publishes and reads records during a fault, which meets records in flight. All records must arrive, and the first
/// occurrences of a key in order.
async fn interrupted(broker: &Broker, fault: impl AsyncFn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let topic = topic();
    let mut config = config(broker);
    (config.session, config.patience) = (Duration::from_secs(6), Duration::from_secs(3));
    let kafka = Arc::new(Kafka::connect(config)?);
    kafka.ensure_topics(&[&topic]).await?;
    let mut subscription = kafka.subscribe("g", &[&topic]).await?;
    let together = Arc::new(Barrier::new(2));
    let sender = {
        let (kafka, topic, together) = (kafka.clone(), topic.clone(), together.clone());
        tokio::spawn(async move {
            let publish = async |numbers| publish_all(&kafka, &records(&topic, numbers, 50)).await;
            publish(1..=COUNT / 2).await;
            together.wait().await;
            publish(COUNT / 2 + 1..=COUNT / 2 + 1_000).await;
            together.wait().await;
            publish(COUNT / 2 + 1_001..=COUNT).await;
        })
    };
    let mut received = ReceivedRecords::default();
    received.read(&mut *subscription, COUNT / 10).await;
    together.wait().await; // the group reads, and the sender goes on
    together.wait().await;
    fault().await?;
    received.read(&mut *subscription, COUNT).await;
    sender.await?;
    Ok(())
}

#[derive(Default)]
struct ReceivedRecords {
    numbers: BTreeSet<u64>,
    /// The last new number of each key.
    last: BTreeMap<Vec<u8>, u64>,
    /// The last signal without records, which the panic message shows when no records arrive.
    other: Option<String>,
}
impl ReceivedRecords {
    async fn read(&mut self, subscription: &mut dyn Subscription, count: u64) {
        while (self.numbers.len() as u64) < count {
            let next = timeout(Duration::from_secs(100), subscription.next()).await;
            let next = next.unwrap_or_else(|_| {
                panic!("{} of {count} records; the last other signal was {:?}", self.numbers.len(), self.other)
            });
            if let Ok(Signal::Records(records)) = next {
                for record in records {
                    subscription.acknowledge(&record.partition, record.offset);
                    self.take(record);
                }
            } else {
                self.other = Some(format!("{next:?}")); // a signal that is kept would hold up a rebalance
            }
        }
    }
    fn take(&mut self, record: Received) {
        let number = String::from_utf8(record.body.expect("the record has a body")).unwrap().parse().unwrap();
        if self.numbers.insert(number) {
            let before = self.last.insert(record.key.expect("the record has a key"), number);
            assert!(before.is_none_or(|before| before < number), "{number} arrived after {before:?}");
        }
    }
}

async fn a_revoked_partition_is_released(broker: &'static Broker) {
    let (topic, mut config) = (topic(), config(broker));
    // A member that does not poll is removed from its group after the session, which is longer than the test waits.
    (config.drain, config.session) = (Duration::from_millis(500), Duration::from_secs(60));
    let kafka = Kafka::connect(config).unwrap();
    kafka.ensure_topics(&[&topic]).await.unwrap();
    publish_all(&kafka, &records(&topic, 1..=40, 40)).await;
    let mut first = kafka.subscribe(&topic, &[&topic]).await.unwrap();
    let mut read = 0;
    while read < 40 {
        if let Signal::Records(records) = first.next().await.unwrap() {
            read += records.len();
        }
    }
    let mut second = kafka.subscribe(&topic, &[&topic]).await.unwrap();
    let taken = async {
        let mut kept = Vec::new(); // a kept `Drained` means that the work has not ended
        loop {
            tokio::select! {
                signal = first.next() => if let Signal::Revoked(_, drained) = signal.unwrap() { kept.push(drained) },
                signal = second.next() => if let Signal::Records(records) = signal.unwrap() { break records },
            }
        }
    };
    let records = timeout(Duration::from_secs(30), taken).await.expect("the second member gets the partition");
    assert_eq!(records[0].offset, 0, "the second member starts with the first unacknowledged record");
}
