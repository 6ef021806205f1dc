//! Seeded bugs of the transport.
use crate::fault_suite::layers::{OverSubscription, SubscriptionLayer};
use async_trait::async_trait;
use cqrs_core::{
    testing::TransportLayer,
    transport::{Audience, Partition, Published, Record, Signal, Subscription, Transport, TransportError},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::sleep};

/// Delays publishing at random. It is no bug by itself, but makes two relays that send the same key overtake each
/// other.
pub(super) struct Slow(pub(super) Arc<dyn Transport>);
#[async_trait]
impl TransportLayer for Slow {
    fn inner(&self) -> &dyn Transport {
        &*self.0
    }
    async fn publish(&self, audience: &Audience, records: &[Record]) -> Published {
        sleep(Duration::from_millis(fastrand::u64(0..30))).await;
        self.0.publish(audience, records).await
    }
}

/// Reports every error as permanent.
pub(super) struct OutageParks(pub(super) Arc<dyn Transport>);
#[async_trait]
impl TransportLayer for OutageParks {
    fn inner(&self) -> &dyn Transport {
        &*self.0
    }
    async fn publish(&self, audience: &Audience, records: &[Record]) -> Published {
        let mut published = self.0.publish(audience, records).await;
        if let Some(error) = &mut published.error {
            error.permanent = true;
        }
        published
    }
}

/// Knows no identity of a topic, so that readers cannot compare it.
pub(super) struct TopicUnchecked(pub(super) Arc<dyn Transport>);
#[async_trait]
impl TransportLayer for TopicUnchecked {
    fn inner(&self) -> &dyn Transport {
        &*self.0
    }
    async fn topic_identities(&self, topics: &[&str]) -> Result<Vec<Option<String>>, TransportError> {
        Ok(vec![None; topics.len()])
    }
}

/// Reports records as acknowledged and sends them a little later.
pub(super) struct CursorFirst {
    inner: Arc<dyn Transport>,
    later: mpsc::UnboundedSender<(Audience, Vec<Record>)>,
}
impl CursorFirst {
    pub(super) fn new(inner: Arc<dyn Transport>) -> Self {
        let (later, mut taken) = mpsc::unbounded_channel::<(Audience, Vec<Record>)>();
        let transport = inner.clone();
        tokio::spawn(async move {
            while let Some((audience, records)) = taken.recv().await {
                sleep(Duration::from_millis(50)).await;
                let mut sent = 0;
                while sent < records.len() {
                    sent += transport.publish(&audience, &records[sent..]).await.acknowledged;
                }
            }
        });
        CursorFirst { inner, later }
    }
}
#[async_trait]
impl TransportLayer for CursorFirst {
    fn inner(&self) -> &dyn Transport {
        &*self.inner
    }
    async fn publish(&self, audience: &Audience, records: &[Record]) -> Published {
        let _ = self.later.send((audience.clone(), records.to_vec())); // the receiving task lives as long as the process
        Published { acknowledged: records.len(), error: None }
    }
}

/// Acknowledges unhandled records: all on receipt (`all`), or all up to the highest as soon as one is handled.
pub(super) struct Hasty {
    pub(super) inner: Arc<dyn Transport>,
    pub(super) all: bool,
}
#[async_trait]
impl TransportLayer for Hasty {
    fn inner(&self) -> &dyn Transport {
        &*self.inner
    }
    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        let inner = self.inner.subscribe(group, topics).await?;
        Ok(Box::new(OverSubscription(HastyReader { inner, all: self.all, highest: HashMap::new() })))
    }
}
struct HastyReader {
    inner: Box<dyn Subscription>,
    all: bool,
    highest: HashMap<Partition, u64>,
}
#[async_trait]
impl SubscriptionLayer for HastyReader {
    fn inner(&mut self) -> &mut dyn Subscription {
        &mut *self.inner
    }
    async fn next(&mut self) -> Result<Signal, TransportError> {
        let signal = self.inner.next().await?;
        if let Signal::Records(records) = &signal {
            for record in records {
                self.highest.insert(record.partition.clone(), record.offset);
                if self.all {
                    self.inner.acknowledge(&record.partition, record.offset);
                }
            }
        }
        Ok(signal)
    }
    fn acknowledge(&mut self, partition: &Partition, offset: u64) {
        let highest = self.highest.get(partition).copied().unwrap_or(offset);
        self.inner.acknowledge(partition, highest.max(offset));
    }
}
