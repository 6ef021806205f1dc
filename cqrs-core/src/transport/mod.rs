//! The transport between services: publishes records in order and delivers them to consumer groups.
pub(crate) mod envelope;
mod in_process;
mod incoming;
mod record;
mod topic_states;

pub use in_process::InProcess;
pub use incoming::ForeignMessage;
pub(crate) use incoming::{Decoder, Decoders, Incoming};
pub use record::{Partition, Received, Record, UNREADABLE_HEADER};
pub(crate) use topic_states::{TopicStates, lost as lost_records};

use crate::error::BoxError;
use async_trait::async_trait;
use std::{fmt, ops::Range};

/// A broker: [`InProcess`] for one process, `cqrs_kafka::Kafka` for several.
///
/// Both pass the suite [`conformance::transport`](crate::testing::conformance::transport).
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Checks the names of topics without contacting a broker. The app calls it for every topic at its start.
    ///
    /// # Errors
    /// Fails with a permanent error when the broker would refuse a name.
    fn check_topics(&self, topics: &[&str]) -> Result<(), TransportError> {
        let _ = topics;
        Ok(())
    }
    /// Creates missing topics. The app calls it for the topics that it publishes to, because only the owner of a topic
    /// knows its number of partitions.
    ///
    /// # Errors
    /// Fails when a topic exists with another number of partitions than configured.
    async fn ensure_topics(&self, topics: &[&str]) -> Result<(), TransportError>;
    /// Returns the audiences that acknowledge records of these topics: the broker itself or, where the transport stores
    /// nothing, every group that subscribes to one of them. The relay keeps checkpoints for each audience. The
    /// transport chooses the names.
    fn audiences(&self, topics: &[&str]) -> Vec<Audience>;
    /// Sends records in order, for each partition from the relay's checkpoint on, and returns when records from the
    /// start are acknowledged.
    ///
    /// The result counts all records, or those before an error, or fewer without an error, but at least one. The relay
    /// then moves its checkpoint and publishes again from there, with further records at the end. Records that are
    /// already on their way are not sent twice.
    ///
    /// An error that concerns the topic of the record alone has [`of_topic`](TransportError::of_topic) set. The relay then
    /// goes on with the other topics: it leaves out the records of this one, and sends them later, in order, by calls of
    /// their own. So positions go back from call to call, but never within one topic and shard.
    ///
    /// Dropping the future is safe; records that were handed over may still arrive. A relay that waits for a stuck
    /// record therefore also waits for further records, and calls again with them at the end. A stuck key delays only
    /// its own records while the relay's window has room.
    async fn publish(&self, audience: &Audience, records: &[Record]) -> Published;
    /// Sends a record that the relay had parked, apart from the records that the relay sends. It is not in their order: its
    /// key has no other record on its way.
    ///
    /// # Errors
    /// Fails when the record is not acknowledged. It may arrive all the same.
    async fn publish_parked(&self, record: &Record) -> Result<(), TransportError> {
        self.publish(&Audience::broker(), std::slice::from_ref(record)).await.error.map_or(Ok(()), Err)
    }
    /// Joins a group. Records of one key are delivered in order. Records that were not acknowledged are delivered again
    /// after a restart. A topic that does not exist yet is not created: once it exists, its records are delivered from the
    /// first one on.
    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Subscription>, TransportError>;
    /// Returns those of the topics that do not exist. It returns none where topics need not be created.
    ///
    /// # Errors
    /// Fails when the broker cannot be reached.
    async fn missing_topics(&self, topics: &[&str]) -> Result<Vec<String>, TransportError> {
        let _ = topics;
        Ok(Vec::new())
    }
    /// Returns the identity of each topic, in this order. It is another one after the topic was deleted and created
    /// again, and on another cluster, where offsets mean other records. It is `None` for a topic that does not exist, and
    /// where the transport has none, as when the sender stores the records.
    async fn topic_identities(&self, topics: &[&str]) -> Result<Vec<Option<String>>, TransportError> {
        Ok(vec![None; topics.len()])
    }
    /// Returns the offset of the first record that the broker still has of each of these partitions, in this order: 0 if it has
    /// removed none, and the next offset if it has removed all.
    ///
    /// # Errors
    /// Fails when the broker cannot be reached.
    async fn first_offsets(&self, partitions: &[Partition]) -> Result<Vec<u64>, TransportError> {
        Ok(vec![0; partitions.len()])
    }
    /// Sets a group back to the first record of a topic. It does nothing where the sender stores the records.
    ///
    /// # Errors
    /// Fails while the group has members.
    async fn rewind(&self, group: &str, topic: &str) -> Result<(), TransportError> {
        let _ = (group, topic);
        Ok(())
    }
    /// Returns the transport's `messaging.system` in OpenTelemetry traces.
    fn system(&self) -> &'static str {
        "in_process"
    }
    /// Waits until every dropped subscription has left its group.
    ///
    /// It is the last step before the process ends. Without it, other members wait until the session has timed out.
    async fn close(&self) {}
}

/// A membership in a consumer group. Dropping it leaves the group.
#[async_trait]
pub trait Subscription: Send {
    /// Waits for the next signal. It is cancel safe: dropping the future loses nothing.
    ///
    /// # Errors
    /// After a transient error, call it again after a while. After a permanent error, subscribe again.
    async fn next(&mut self) -> Result<Signal, TransportError>;
    /// Acknowledges every record of the partition up to and including this offset.
    ///
    /// An acknowledgement never moves backwards. For a partition that is no longer assigned it is ignored.
    fn acknowledge(&mut self, partition: &Partition, offset: u64);
    /// Continues from this offset, for readers that store their own checkpoints. Records that were read before the call
    /// are not delivered after it.
    ///
    /// It is ignored where the transport cannot go back further than the acknowledged offset.
    fn seek(&mut self, partition: &Partition, offset: u64);
    /// Pauses or resumes a partition. Records that are already on their way may still be delivered.
    fn pause(&mut self, partition: &Partition, paused: bool);
}

/// A signal of a subscription.
#[derive(Debug)]
pub enum Signal {
    /// The partitions that were assigned to this member.
    Assigned(Vec<Partition>),
    /// The partitions that were revoked from this member. Work in progress can be finished and acknowledged until the
    /// [`Drained`] is dropped or the transport's time-out ends.
    Revoked(Vec<Partition>, Drained),
    /// Received records, in order within each partition.
    Records(Vec<Received>),
    /// The broker has dropped records of this partition that the group has not read. The next records follow them.
    Lost {
        /// The partition.
        partition: Partition,
        /// The offsets of the lost records.
        offsets: Range<u64>,
    },
}

/// A guard that is held while work on revoked partitions is finished. Dropping it releases the partitions.
pub struct Drained(Option<Box<dyn FnOnce() + Send>>);
impl Drained {
    /// Creates a guard that calls `done` when dropped, on the thread that drops it. `done` must be short and must not
    /// block.
    pub fn then(done: impl FnOnce() + Send + 'static) -> Self {
        Drained(Some(Box::new(done)))
    }
    /// Creates a guard that does nothing when dropped.
    pub fn unwaited() -> Self {
        Drained(None)
    }
}
impl Drop for Drained {
    fn drop(&mut self) {
        if let Some(done) = self.0.take() {
            done();
        }
    }
}
impl fmt::Debug for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Drained(awaited)" } else { "Drained" })
    }
}

/// The audience that acknowledges records: the broker (`""`), or a group, by a name that the transport chose.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Audience(pub String);
impl Audience {
    /// Returns the audience of a broker that stores the records it acknowledges.
    pub fn broker() -> Self {
        Audience(String::new())
    }
}

/// The result of a publish.
#[derive(Debug)]
#[must_use = "an unacknowledged record must be published again"]
pub struct Published {
    /// The number of records from the start that are acknowledged, without a gap.
    pub acknowledged: usize,
    /// The error that stopped the publish before the end, if there was one.
    pub error: Option<TransportError>,
}

/// An error of a transport.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// The failed operation.
    pub message: String,
    /// Set when a retry cannot succeed, such as for a record that the broker never accepts.
    pub permanent: bool,
    /// Set when the broker refuses the topic of a record for a time, such as for a missing right, while it may accept
    /// records of other topics.
    pub of_topic: bool,
    /// The underlying error, usually the driver's.
    #[source]
    pub source: Option<BoxError>,
}
impl TransportError {
    /// Creates an error that a retry may resolve.
    pub fn transient(message: impl Into<String>) -> Self {
        TransportError { message: message.into(), permanent: false, of_topic: false, source: None }
    }
    /// Creates an error that a retry cannot resolve.
    pub fn permanent(message: impl Into<String>) -> Self {
        TransportError { message: message.into(), permanent: true, of_topic: false, source: None }
    }
    /// Marks the error as one that concerns the topic of the record alone.
    pub fn of_topic(mut self) -> Self {
        self.of_topic = true;
        self
    }
    /// Sets the underlying error.
    pub fn because(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }
}
