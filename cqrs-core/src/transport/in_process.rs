//! A broker for one process: hands records to groups and waits for them. It stores nothing: the sender's log does.
mod group;

use super::{Audience, Partition, Published, Received, Record, Signal, Subscription, Transport, TransportError};
use async_trait::async_trait;
use group::Group;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// A broker for one process. Its clones are one broker: every app of the process gets one.
///
/// A record counts as acknowledged when the group has acknowledged it, so the sender's position in its own log is what
/// survives a crash: what was not acknowledged is published again. It belongs to one set of databases: with others, positions
/// start again, and what a group acknowledged before would be taken for done.
///
/// A partition is what one service sends from one lane to one topic; its offsets are positions in that service's log. The
/// audience is a group and a topic, so that a group which starts to hear another topic hears it from its first record.
/// `seek` is ignored, and a revoked partition is waited for without limit.
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
    /// A broker without groups.
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
        let hears = |group: &str, topic: &str| groups[group].hears(topic).then(|| Audience(format!("{group}@{topic}")));
        groups.keys().flat_map(|group| topics.iter().filter_map(move |topic| hears(group, topic))).collect()
    }

    async fn publish(&self, audience: &Audience, records: &[Record]) -> Published {
        let found =
            audience.0.rsplit_once('@').and_then(|(group, topic)| Some((self.groups().get(group)?.clone(), topic)));
        let Some((group, topic)) = found.filter(|(group, topic)| group.hears(topic)) else {
            let error = TransportError::transient(format!("nobody in this process has subscribed as {}", audience.0));
            return Published { acknowledged: 0, error: Some(error) };
        };
        let (records, error) = match group.hand_over(topic, records) {
            Ok(()) => (records, None),
            Err((taken, error)) => (&records[..taken], Some(error)),
        };
        loop {
            let moved = group.moved(topic, records);
            // Listen before looking, or an acknowledgement between the two is missed.
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
    Partition { topic: record.topic.clone(), part: format!("{}/{}", record.service, record.lane) }
}

fn received(record: &Record, partition: &Partition) -> Received {
    Received {
        partition: partition.clone(),
        offset: record.position.0,
        key: Some(record.key.clone().into_bytes()),
        body: Some(record.body.clone()),
        headers: record.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect(),
    }
}

#[cfg(test)]
mod tests;
