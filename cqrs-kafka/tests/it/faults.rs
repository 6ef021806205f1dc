//! The broker is killed and frozen while records go through, and work in flight never ends.
use super::{config, publish_all, records, topic};
use cqrs_core::transport::{Received, Signal, Subscription, Transport, TransportError};
use cqrs_kafka::{Kafka, KafkaConfig};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use test_support::{Kafka as Broker, Trials};
use tokio::time::{sleep, timeout};

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("a broker that is killed and comes back loses nothing", async |broker: Broker| {
            interrupted(&broker, async || {
                broker.kill()?;
                sleep(Duration::from_secs(2)).await;
                broker.start_again()
            })
            .await
        })
        .within(LONG)
        .test("a broker that is frozen and goes on loses nothing", async |broker: Broker| {
            interrupted(&broker, async || {
                broker.freeze()?;
                sleep(Duration::from_secs(8)).await;
                broker.thaw()
            })
            .await
        })
        .within(LONG)
        .test("work that never ends does not hold a partition for ever", a_partition_is_not_held_for_ever)
}

const COUNT: u64 = 20_000;
/// A rebalance, a request that nobody answers, and a busy machine.
const LONG: Duration = Duration::from_secs(240);

/// All come, first occurrences of a key in order, whatever happens in between.
async fn interrupted(broker: &Broker, fault: impl AsyncFn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let topic = topic();
    let session = Duration::from_secs(6);
    let patience = Duration::from_secs(3);
    let kafka = Arc::new(Kafka::connect(KafkaConfig { session, patience, ..config(broker) })?);
    kafka.ensure_topics(&[&topic]).await?;
    let mut subscription = kafka.subscribe("g", &[&topic]).await?;
    let sender = {
        let (kafka, topic) = (kafka.clone(), topic.clone());
        tokio::spawn(async move { publish_all(&kafka, &records(&topic, 1..=COUNT, 50)).await })
    };
    let mut seen = Seen::default();
    seen.read(&mut *subscription, COUNT / 10).await;
    fault().await?;
    seen.read(&mut *subscription, COUNT).await;
    sender.await?;
    Ok(())
}

#[derive(Default)]
struct Seen {
    numbers: BTreeSet<u64>,
    last: BTreeMap<Vec<u8>, u64>,
    /// What was not records, for who has to find out why nothing comes.
    other: Option<Result<Signal, TransportError>>,
}
impl Seen {
    async fn read(&mut self, subscription: &mut dyn Subscription, count: u64) {
        while (self.numbers.len() as u64) < count {
            let next = timeout(Duration::from_secs(100), subscription.next()).await;
            let next = next.unwrap_or_else(|_| panic!("{} of {count}; last: {:?}", self.numbers.len(), self.other));
            if let Ok(Signal::Records(records)) = next {
                for record in records {
                    subscription.acknowledge(&record.partition, record.offset);
                    self.take(record);
                }
            } else {
                self.other = Some(next);
            }
        }
    }
    fn take(&mut self, record: Received) {
        let number = String::from_utf8(record.body.expect("a body")).unwrap().parse().unwrap();
        if self.numbers.insert(number) {
            let before = self.last.insert(record.key.expect("a key"), number);
            assert!(before.is_none_or(|before| before < number), "{before:?} before {number}");
        }
    }
}

async fn a_partition_is_not_held_for_ever(broker: &'static Broker) {
    let (topic, drain) = (topic(), Duration::from_millis(500));
    let kafka = Kafka::connect(KafkaConfig { drain, ..config(broker) }).unwrap();
    kafka.ensure_topics(&[&topic]).await.unwrap();
    publish_all(&kafka, &records(&topic, 1..=40, 40)).await;
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
