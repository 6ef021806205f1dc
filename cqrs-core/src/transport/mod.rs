//! What a broker has to do: publish in order, and hand records to groups.
mod in_process;
pub use in_process::InProcess;

use crate::{BoxError, Timestamp, batch::Position};
use async_trait::async_trait;
use std::fmt;

/// A broker. [`InProcess`] for one process, `cqrs_kafka::Kafka` for many;
/// [`conformance::transport`](crate::testing::conformance::transport) is the suite both pass.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Creates the topics that are missing.
    ///
    /// # Errors
    /// When a topic is there with another number of partitions than configured.
    async fn ensure_topics(&self, topics: &[&str]) -> Result<(), TransportError>;
    /// Who has to acknowledge what is published: the broker itself, or, where nothing is stored, every group that hears one of
    /// these topics. The relay keeps a position for each; the name is the transport's own.
    fn audiences(&self, topics: &[&str]) -> Vec<Audience>;
    /// Sends records in order, for each partition from where its reader stands, and returns when some from the start are
    /// acknowledged: all; or as many as there were before an error; or fewer and no error, but at least one. Then the reader
    /// moves, and publishes again from there with more behind: what is on its way is not sent twice.
    ///
    /// Dropping the future is safe; what was handed over may still arrive. So a relay that waits for a stuck record races this
    /// with news of further ones, and calls again with those behind: a stuck key holds only its own records, as long as the
    /// relay's window has room.
    async fn publish(&self, audience: &Audience, records: &[Record]) -> Published;
    /// Joins a group. Records of one key come in order; of what is not acknowledged, all comes again after a restart.
    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Subscription>, TransportError>;
    /// What it is, in traces: the `messaging.system` of OpenTelemetry.
    fn system(&self) -> &'static str {
        "in_process"
    }
    /// Returns when every subscription that was dropped has left its group: the last step before the process ends, or others
    /// wait for it until its session is over.
    async fn close(&self) {}
}

/// A group's membership. Dropping it leaves the group.
#[async_trait]
pub trait Subscription: Send {
    /// What happens next; waits for it. Cancel safe: nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// Trouble that may pass passes by itself: ask again, after a while. After one that stays, subscribe again.
    async fn next(&mut self) -> Result<Signal, TransportError>;
    /// Everything of this partition up to and including this offset is done. Never goes back; of partitions that are gone it
    /// is ignored.
    fn acknowledge(&mut self, partition: &Partition, offset: u64);
    /// Go on from this offset: for readers who keep their position themselves. What was read before it does not come after it.
    /// Ignored where the transport cannot go back further than what was acknowledged.
    fn seek(&mut self, partition: &Partition, offset: u64);
    /// Hold a partition back, or let it go on. Records already on their way may still come.
    fn pause(&mut self, partition: &Partition, paused: bool);
}

/// What a subscription is told.
#[derive(Debug)]
pub enum Signal {
    /// These partitions are ours from now on.
    Assigned(Vec<Partition>),
    /// These are not ours any more. What is in flight may be finished and acknowledged until `drained` is dropped or the
    /// transport's patience ends.
    Revoked(Vec<Partition>, Drained),
    /// Records, per partition in order.
    Records(Vec<Received>),
}

/// Held while work on revoked partitions is finished; dropping it lets them go.
pub struct Drained(Option<Box<dyn FnOnce() + Send>>);
impl Drained {
    /// Calls `done` when dropped, on the thread that drops it: it must be short and not wait.
    pub fn then(done: impl FnOnce() + Send + 'static) -> Self {
        Drained(Some(Box::new(done)))
    }
    /// Nobody waits.
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

/// Who acknowledges: the broker (`""`), or a group by a name that the transport gave.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Audience(pub String);
impl Audience {
    /// A broker that stores what it acknowledges.
    pub fn broker() -> Self {
        Audience(String::new())
    }
}

/// Part of a topic that is in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    /// The topic.
    pub topic: String,
    /// Which part of it: `3` on Kafka, `user/3` (service and lane) in process.
    pub part: String,
}
impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.part)
    }
}

/// A record to be sent. Headers are CloudEvents 1.0 in binary mode, written by the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic.
    pub topic: String,
    /// What stays in order.
    pub key: String,
    /// The data; empty is empty, never a tombstone.
    pub body: Vec<u8>,
    /// Header names and values, each name once.
    pub headers: Vec<(String, String)>,
    /// The service it comes from.
    pub service: String,
    /// Its lane there.
    pub lane: u16,
    /// Its position in that service's log.
    pub position: Position,
    /// When it was committed.
    pub at: Timestamp,
}

/// A record that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Where it lies.
    pub partition: Partition,
    /// Its place there. Offsets of a partition grow; gaps are normal.
    pub offset: u64,
    /// The key, if it has one.
    pub key: Option<Vec<u8>>,
    /// The data; `None` is a tombstone.
    pub body: Option<Vec<u8>>,
    /// Header names and values as they came.
    pub headers: Vec<(String, Vec<u8>)>,
}
impl Received {
    /// The last header of this name, if it is UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().rev().find(|(n, _)| n == name).and_then(|(_, value)| std::str::from_utf8(value).ok())
    }
}

/// How far a publish came.
#[derive(Debug)]
pub struct Published {
    /// This many from the start are acknowledged, without a gap.
    pub acknowledged: usize,
    /// Why it is not all.
    pub error: Option<TransportError>,
}

/// A broker's trouble.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// What was tried.
    pub message: String,
    /// The broker will never take this record: not a matter of time.
    pub permanent: bool,
    /// The driver's own error.
    #[source]
    pub source: Option<BoxError>,
}
impl TransportError {
    /// Trouble that may pass.
    pub fn transient(message: impl Into<String>) -> Self {
        TransportError { message: message.into(), permanent: false, source: None }
    }
    /// Trouble that stays.
    pub fn permanent(message: impl Into<String>) -> Self {
        TransportError { message: message.into(), permanent: true, source: None }
    }
    /// What caused it.
    pub fn because(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }
}
