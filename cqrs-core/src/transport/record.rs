//! The records that are published to topics and received from them.
use crate::{Timestamp, position::Position};
use std::fmt;

/// A partition: the part of a topic within which records are in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    /// The topic's name.
    pub topic: String,
    /// The name of the partition within the topic: `3` on Kafka, `user/3` (service and relay shard) in process.
    pub part: String,
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.part)
    }
}

/// A record to be sent. The relay writes its headers as CloudEvents 1.0 in binary mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic's name.
    pub topic: String,
    /// The key. Records with the same key stay in order.
    pub key: String,
    /// The data. Empty data is not a tombstone.
    pub body: Vec<u8>,
    /// The headers, as names and values. Each name occurs once.
    pub headers: Vec<(String, String)>,
    /// The name of the service that publishes the record.
    pub service: String,
    /// The relay shard of the key in that service.
    pub shard: u16,
    /// The position of the event in that service's log.
    pub position: Position,
    /// The time of the event; see [`Recorded::occurred_at`](crate::Recorded::occurred_at).
    pub occurred_at: Timestamp,
}

/// The name of a received header whose own name is not UTF-8.
///
/// Such a header may be one that the framework needs, so a record with it is parked as unreadable, unless a decoder of the
/// application ([`AppBuilder::foreign_topic`](crate::AppBuilder::foreign_topic)) reads its topic.
pub const UNREADABLE_HEADER: &str = "\u{fffd}";

/// A record that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The partition that holds the record.
    pub partition: Partition,
    /// The offset in the partition. Offsets grow within a partition; gaps are normal.
    pub offset: u64,
    /// The key, if the record has one.
    pub key: Option<Vec<u8>>,
    /// The data; `None` is a tombstone.
    pub body: Option<Vec<u8>>,
    /// The headers, as names and values in the order in which they were received.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The time that the producer or the broker gave to the record.
    pub timestamp: Option<Timestamp>,
}

impl Received {
    /// Returns the last header with this name, if it is UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().rev().find(|(n, _)| n == name).and_then(|(_, value)| std::str::from_utf8(value).ok())
    }
}
