//! Seeded bugs between an engine and its broker.
use super::{Bug, store::BugState};
use crate::{listener::lock, simulation::broker::Client};
use async_trait::async_trait;
use cqrs_core::{
    testing::TransportLayer,
    transport::{Audience, Partition, Published, Received, Record, Signal, Subscription, Transport, TransportError},
};
use std::sync::Arc;
use uuid::Uuid;

/// A client with a bug.
#[derive(Clone)]
pub(crate) struct SeededTransport {
    pub(crate) client: Client,
    pub(crate) bug: Bug,
    pub(crate) bug_state: Arc<BugState>,
}

#[async_trait]
impl TransportLayer for SeededTransport {
    fn inner(&self) -> &dyn Transport {
        &self.client
    }
    async fn publish(&self, audience: &Audience, records: &[Record]) -> Published {
        if self.bug == Bug::CursorBeforeAcknowledgement {
            self.client.hand_over(records);
            return Published { acknowledged: records.len(), error: None };
        }
        let mut published = self.client.publish(audience, records).await;
        if let Some(error) = published.error.as_mut().filter(|_| self.bug == Bug::TopicHoldsAll) {
            error.of_topic = false;
        }
        published
    }
    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        let inner = self.client.subscribe(group, topics).await?;
        Ok(Box::new(SeededSubscription {
            group: group.to_owned(),
            inner,
            bug: self.bug,
            bug_state: self.bug_state.clone(),
            given: Vec::new(),
            keys: 0,
        }))
    }
}

/// A membership with a bug.
struct SeededSubscription {
    group: String,
    inner: Box<dyn Subscription>,
    bug: Bug,
    bug_state: Arc<BugState>,
    /// The records that were passed on to the engine.
    given: Vec<(Partition, u64, Uuid)>,
    keys: u64,
}
impl SeededSubscription {
    fn pass_on(&mut self, mut records: Vec<Received>) -> Vec<Received> {
        for record in &mut records {
            match self.bug {
                Bug::AcknowledgedOnReceipt => self.inner.acknowledge(&record.partition, record.offset),
                Bug::KeyIgnored => {
                    self.keys += 1;
                    record.key = Some(self.keys.to_be_bytes().to_vec());
                }
                Bug::HighestAcknowledged => {
                    let id = record.header("ce_id").and_then(|id| id.parse().ok());
                    self.given.extend(id.map(|id| (record.partition.clone(), record.offset, id)));
                }
                _ => (),
            }
        }
        records
    }
}
#[async_trait]
impl Subscription for SeededSubscription {
    async fn next(&mut self) -> Result<Signal, TransportError> {
        if self.bug == Bug::HighestAcknowledged {
            let handled = lock(&self.bug_state.handled).clone();
            let done = |id: &Uuid| handled.contains(&(self.group.clone(), *id));
            for (partition, offset, _) in self.given.iter().filter(|(_, _, id)| done(id)) {
                self.inner.acknowledge(partition, *offset);
            }
        }
        Ok(match self.inner.next().await? {
            Signal::Records(records) => Signal::Records(self.pass_on(records)),
            signal => signal,
        })
    }
    fn acknowledge(&mut self, partition: &Partition, offset: u64) {
        self.inner.acknowledge(partition, offset);
    }
    fn seek(&mut self, partition: &Partition, offset: u64) {
        self.inner.seek(partition, offset);
    }
    fn pause(&mut self, partition: &Partition, paused: bool) {
        self.inner.pause(partition, paused);
    }
}
