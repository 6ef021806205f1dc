//! The broker for one process. It stores nothing: the sender's log does.
mod group;

use super::{Audience, Partition, Published, Received, Record, Signal, Subscription, Transport, TransportError};
use async_trait::async_trait;
use group::Group;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// A broker for one process. Clones share one broker: pass a clone to every app of the process.
///
/// A record counts as acknowledged when the group has acknowledged it. The sender's checkpoint in its own log survives
/// a crash, and unacknowledged records are published again. A broker belongs to one set of databases. With other
/// databases positions start again, and it would treat new records as already acknowledged.
///
/// A partition holds the records of one relay shard of one service on one topic. Its offsets are positions in that
/// service's log. An audience is a group and a topic, so that a group that subscribes to a further topic receives it
/// from the first record. `seek` is ignored, and a revoked partition is waited for without a time-out.
///
/// ```
/// use cqrs_core::transport::{InProcess, Transport};
/// # async fn example() -> Result<(), cqrs_core::transport::TransportError> {
/// let broker = InProcess::new();
/// let mut mail = broker.subscribe("mail", &["user.events.v1"]).await?;
/// let audiences = broker.audiences(&["user.events.v1", "payment.events.v1"]);
/// assert_eq!(audiences.len(), 1);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
pub struct InProcess(Arc<Mutex<BTreeMap<String, Arc<Group>>>>);

impl InProcess {
    /// Creates a broker without groups.
    pub fn new() -> Self {
        InProcess::default()
    }
    fn groups(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Group>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for InProcess {
    async fn ensure_topics(&self, _: &[&str]) -> Result<(), TransportError> {
        Ok(())
    }

    fn audiences(&self, topics: &[&str]) -> Vec<Audience> {
        let groups = self.groups();
        let audience =
            |group: &str, topic: &str| groups[group].subscribes_to(topic).then(|| Audience(format!("{group}@{topic}")));
        groups.keys().flat_map(|group| topics.iter().filter_map(move |topic| audience(group, topic))).collect()
    }

    async fn publish(&self, audience: &Audience, records: &[Record]) -> Published {
        let found =
            audience.0.rsplit_once('@').and_then(|(group, topic)| Some((self.groups().get(group)?.clone(), topic)));
        let Some((group, topic)) = found.filter(|(group, topic)| group.subscribes_to(topic)) else {
            let error = TransportError::transient(format!("no group in this process subscribes as {}", audience.0));
            return Published { acknowledged: 0, error: Some(error) };
        };
        let (records, error) = match group.hand_over(topic, records) {
            Ok(()) => (records, None),
            Err((taken, error)) => (&records[..taken], Some(error)),
        };
        loop {
            let moved = group.moved(topic, records);
            // Register before the check: an acknowledgement between the two would be missed otherwise.
            let mut notified = std::pin::pin!(moved.notified());
            notified.as_mut().enable();
            match group.acknowledged(topic, records) {
                0 if !records.is_empty() => notified.await,
                all if all == records.len() => return Published { acknowledged: all, error },
                some => return Published { acknowledged: some, error: None },
            }
        }
    }

    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        let group = self.groups().entry(group.to_owned()).or_default().clone();
        let (member, wake) = group.join(topics);
        Ok(Box::new(Membership { group, member, wake }))
    }
}

struct Membership {
    group: Arc<Group>,
    member: u64,
    wake: Arc<Notify>,
}

#[async_trait]
impl Subscription for Membership {
    async fn next(&mut self) -> Result<Signal, TransportError> {
        loop {
            if let Some(signal) = self.group.next(self.member) {
                return Ok(signal);
            }
            self.wake.notified().await;
        }
    }
    fn acknowledge(&mut self, partition: &Partition, offset: u64) {
        self.group.acknowledge(self.member, partition, offset);
    }
    fn seek(&mut self, _: &Partition, _: u64) {}
    fn pause(&mut self, partition: &Partition, paused: bool) {
        self.group.pause(self.member, partition, paused);
    }
}
impl Drop for Membership {
    fn drop(&mut self) {
        self.group.leave(self.member);
    }
}

fn partition_of(record: &Record) -> Partition {
    Partition { topic: record.topic.clone(), part: format!("{}/{}", record.service, record.shard) }
}

fn received(record: &Record, partition: &Partition) -> Received {
    Received {
        partition: partition.clone(),
        offset: record.position.0,
        key: Some(record.key.clone().into_bytes()),
        body: Some(record.body.clone()),
        headers: record.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect(),
        timestamp: Some(record.occurred_at),
    }
}

#[cfg(test)]
mod tests;
