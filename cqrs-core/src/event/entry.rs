//! Log entries: an event before it is appended to the log, and as it is read from the log.
use crate::{Timestamp, metadata::Metadata, position::Position};
use uuid::Uuid;

/// An event to be appended to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// The stream: aggregate name and id, such as `user/0190...`.
    pub stream: String,
    /// The number of the event in its stream, from 1 without gaps.
    pub version: u64,
    /// Id of the event, created once. Consumers deduplicate by it.
    pub id: Uuid,
    /// The stored name, such as `user.registered`.
    pub name: &'static str,
    /// The version of the stored form.
    pub schema: u32,
    /// The event in its stored form (JSON).
    pub payload: Vec<u8>,
    /// Caller, cause and trace context; stored as JSON.
    pub metadata: Metadata,
    /// Time at which the unit of work was closed, before its commit, by the wall clock of the process that decided it.
    /// It does not order entries; see [`Recorded::occurred_at`](crate::Recorded::occurred_at).
    pub occurred_at: Timestamp,
    /// The integration event stored with this entry (the outbox payload).
    pub outgoing: Option<OutgoingMessage>,
}

/// An outgoing message: the integration event stored with an entry, until the relay has sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// The topic to which it is published.
    pub topic: String,
    /// The key. Messages of one key stay in order.
    pub key: String,
    /// The relay shard: `murmur2(key) mod 16`.
    pub shard: u16,
    /// The name of the integration event, its CloudEvents `type`.
    pub name: String,
    /// The content type of the body, its CloudEvents `datacontenttype`.
    pub content_type: String,
    /// The encoded integration event.
    pub body: Vec<u8>,
}

/// An event read from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The position in the log.
    pub position: Position,
    /// The stream: aggregate name and id, such as `user/0190...`.
    pub stream: String,
    /// The number of the event in its stream, from 1 without gaps.
    pub version: u64,
    /// Id of the event. Consumers deduplicate by it.
    pub id: Uuid,
    /// The stored name, such as `user.registered`.
    pub name: String,
    /// The version of the stored form.
    pub schema: u32,
    /// The event in its stored form (JSON).
    pub payload: Vec<u8>,
    /// Caller, cause and trace context.
    pub metadata: Metadata,
    /// Time at which the unit of work was closed, before its commit, by the wall clock of the process that decided it.
    /// It does not order entries; see [`Recorded::occurred_at`](crate::Recorded::occurred_at).
    pub occurred_at: Timestamp,
    /// The integration event stored with this entry. It is removed after its relay shard has passed it and its
    /// retention is over.
    pub outgoing: Option<OutgoingMessage>,
}
impl Entry {
    /// Returns the size of the payload and of the outgoing message, in bytes.
    pub fn size(&self) -> usize {
        self.payload.len() + self.outgoing.as_ref().map_or(0, |outgoing| outgoing.body.len())
    }
    /// Returns a copy without the payload, as the relay reads it.
    #[doc(hidden)]
    pub fn without_payload(&self) -> Self {
        Entry {
            position: self.position,
            stream: self.stream.clone(),
            version: self.version,
            id: self.id,
            name: self.name.clone(),
            schema: self.schema,
            payload: Vec::new(),
            metadata: self.metadata.clone(),
            occurred_at: self.occurred_at,
            outgoing: self.outgoing.clone(),
        }
    }
}
