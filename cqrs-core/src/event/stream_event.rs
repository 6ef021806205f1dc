//! The part of a log entry that a load of an aggregate reads.
use crate::event::Entry;
use uuid::Uuid;

/// An event of one stream, as a load of its aggregate reads it: the fields of an [`Entry`] that folding needs.
///
/// The other fields are left out because a load reads many events, and would decode their metadata and their outgoing
/// messages for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEvent {
    /// The number of the event in its stream, from 1 without gaps.
    pub version: u64,
    /// The id of the event, which no other event has.
    pub id: Uuid,
    /// The stored name, such as `user.registered`.
    pub name: String,
    /// The version of the stored form.
    pub schema: u32,
    /// The event in its stored form (JSON).
    pub payload: Vec<u8>,
}

impl From<Entry> for StreamEvent {
    fn from(entry: Entry) -> Self {
        let Entry { version, id, name, schema, payload, .. } = entry;
        StreamEvent { version, id, name, schema, payload }
    }
}
impl From<&Entry> for StreamEvent {
    /// Copies these fields and nothing else of the entry.
    fn from(entry: &Entry) -> Self {
        let Entry { version, id, name, schema, payload, .. } = entry;
        StreamEvent { version: *version, id: *id, name: name.clone(), schema: *schema, payload: payload.clone() }
    }
}
