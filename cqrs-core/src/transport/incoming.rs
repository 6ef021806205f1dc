//! Incoming records: the id, the key and the message of a record, from its headers or from a decoder of the application.
use crate::{
    Timestamp,
    error::BoxError,
    event::{IntegrationEvent, RawEvent},
    metadata::Metadata,
    transport::envelope,
    transport::record::Received,
    transport::topic_states::TopicStates,
};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use uuid::Uuid;

/// The message in a record of another producer, as a decoder returns it.
///
/// The id, the key and the time are those of the record, unless the decoder sets them.
///
/// ```
/// use cqrs_core::{BoxError, IntegrationEvent, transport::{ForeignMessage, Received}};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
/// #[integration_event(name = "legacy.order.placed", topic = "legacy.orders", key = order)]
/// struct LegacyOrder { order: String, amount: u32 }
///
/// /// Decodes lines such as `order-7;3`.
/// fn decode(record: &Received) -> Result<Option<ForeignMessage>, BoxError> {
///     let line = std::str::from_utf8(record.body.as_deref().unwrap_or_default())?;
///     let (order, amount) = line.split_once(';').ok_or("the line has no semicolon")?;
///     let order = LegacyOrder { order: order.into(), amount: amount.parse()? };
///     Ok(Some(ForeignMessage::new(&order)?.key(order.key())))
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignMessage {
    name: &'static str,
    content_type: &'static str,
    bytes: Vec<u8>,
    id: Option<Uuid>,
    key: Option<String>,
    occurred_at: Option<Timestamp>,
}
impl ForeignMessage {
    /// Creates a message with this event. Subscribers and projections of the event's type handle it.
    ///
    /// # Errors
    /// Fails when the event cannot be encoded.
    pub fn new<E: IntegrationEvent>(event: &E) -> Result<Self, BoxError> {
        let (name, content_type, bytes) = (E::NAME, E::CONTENT_TYPE, event.encode()?);
        Ok(ForeignMessage { name, content_type, bytes, id: None, key: None, occurred_at: None })
    }
    /// Sets the id by which consumers deduplicate. It must be the same each time the message arrives. Default: an id
    /// derived from the record's topic, partition and offset, which differs for a record that its producer sends twice.
    pub fn id(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }
    /// Sets the key. Messages with the same key in one partition stay in order. Default: the record's key.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
    /// Sets the time of the event. Default: the record's timestamp.
    pub fn occurred_at(mut self, at: Timestamp) -> Self {
        self.occurred_at = Some(at);
        self
    }
}

/// A decoder of the application; see [`AppBuilder::foreign_topic`](crate::AppBuilder::foreign_topic).
pub(crate) type Decoder = Box<dyn Fn(&Received) -> Result<Option<ForeignMessage>, BoxError> + Send + Sync>;

/// A record as a consumer handles it.
pub(crate) struct Incoming {
    pub(crate) id: Uuid,
    /// The key as text without NUL, which no text column accepts. Two keys with the same text wait for each other,
    /// which keeps their order.
    pub(crate) key: String,
    /// `None` when the decoder of the topic skips the record.
    pub(crate) message: Result<Option<RawEvent>, BoxError>,
}

/// The decoders of foreign topics. Every other topic has records in the envelope of the framework.
#[derive(Default)]
pub(crate) struct Decoders {
    decoders: BTreeMap<String, Decoder>,
    topics: Arc<TopicStates>,
    /// The records that are not decoded any more, each with the error.
    refused: Mutex<HashMap<Uuid, String>>,
    /// Set when there are such records.
    has_refused: AtomicBool,
}
impl Decoders {
    pub(crate) fn new(decoders: impl IntoIterator<Item = (String, Decoder)>, topics: Arc<TopicStates>) -> Self {
        Decoders { decoders: decoders.into_iter().collect(), topics, ..Decoders::default() }
    }
    pub(crate) fn has(&self, topic: &str) -> bool {
        self.decoders.contains_key(topic)
    }
    /// Returns an id of the record's place. No decoder runs, because it can be what ends the process.
    pub(crate) fn place_of(&self, record: &Received) -> Uuid {
        id_of_place(record, self.topics.generation(&record.partition.topic))
    }
    /// Returns an id of the decoding of the record, apart from its handling: only after the decoding its key is known.
    pub(crate) fn decoding_of(&self, record: &Received) -> Uuid {
        Uuid::new_v5(&self.place_of(record), b"decoding")
    }
    /// Lets every later read of this record in this process fail with the error, without a run of its decoder.
    pub(crate) fn refuse(&self, record: &Received, error: String) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.insert(self.place_of(record), error);
        self.has_refused.store(true, Ordering::Relaxed);
    }
    fn refused(&self, record: &Received) -> Option<String> {
        if !self.has_refused.load(Ordering::Relaxed) {
            return None;
        }
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).get(&self.place_of(record)).cloned()
    }
    /// Reads the id, the key and the message of a record.
    pub(crate) fn read(&self, record: &Received) -> Incoming {
        let id_of_place = |record| self.place_of(record);
        let (decoder, refused) = (self.decoders.get(&record.partition.topic), self.refused(record));
        let Some(decoder) = decoder else {
            let id = record.header("ce_id").and_then(|id| id.parse().ok()).unwrap_or_else(|| id_of_place(record));
            let message = match refused {
                Some(error) => Err(error.into()),
                None => envelope::message(record).map(Some),
            };
            return Incoming { id, key: key_of(record), message };
        };
        if let Some(error) = refused {
            return Incoming { id: id_of_place(record), key: key_of(record), message: Err(error.into()) };
        }
        let decoded = catch_unwind(AssertUnwindSafe(|| decoder(record)));
        match decoded.unwrap_or_else(|_| Err("the decoder panicked".into())) {
            Ok(Some(ForeignMessage { name, content_type, bytes, id, key, occurred_at })) => {
                let id = id.unwrap_or_else(|| id_of_place(record));
                let message = RawEvent {
                    id,
                    stream: String::new(),
                    version: 0,
                    occurred_at: occurred_at.or(record.timestamp).unwrap_or(Timestamp::UNIX_EPOCH),
                    metadata: Metadata::NONE,
                    name: name.to_owned(),
                    schema: 1,
                    content_type: Some(content_type.to_owned()),
                    bytes,
                };
                Incoming { id, key: key.map_or_else(|| key_of(record), without_nul), message: Ok(Some(message)) }
            }
            Ok(None) => Incoming { id: id_of_place(record), key: key_of(record), message: Ok(None) },
            Err(error) => Incoming { id: id_of_place(record), key: key_of(record), message: Err(error) },
        }
    }
    /// Returns the key within which the records of a partition are handled in order.
    pub(crate) fn order_key(&self, record: &Received) -> Vec<u8> {
        match self.has(&record.partition.topic) {
            true => self.read(record).key.into_bytes(),
            false => record.key.clone().unwrap_or_default(),
        }
    }
}
impl fmt::Debug for Decoders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.decoders.keys()).finish()
    }
}

fn key_of(record: &Received) -> String {
    without_nul(String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned())
}
fn without_nul(key: String) -> String {
    key.replace('\0', "\u{fffd}")
}

/// Returns an id that is derived from the record's partition and offset, so that it is stable. In a topic that was created
/// again, the same place has another record.
fn id_of_place(record: &Received, generation: u64) -> Uuid {
    let mut place = format!("{}@{}", record.partition, record.offset);
    if generation > 0 {
        place = format!("{place}#{generation}");
    }
    Uuid::new_v5(&Uuid::NAMESPACE_OID, place.as_bytes())
}
