//! Subscribable events: their source, and the decoding of their bytes.
use crate::{
    Timestamp, codec,
    error::BoxError,
    event::recorded::Recorded,
    event::stream::id_of,
    event::{AggregateEvent, Event},
    metadata::Metadata,
};
use uuid::Uuid;

/// The source of events that a subscriber or projection handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The service's own log: the events with these stored names.
    Log(&'static [&'static str]),
    /// A topic of another service.
    Topic {
        /// Name of the topic.
        topic: &'static str,
        /// Name of the integration event, the CloudEvents `type` of the record.
        name: &'static str,
        /// Content type of the body that the event's decoder reads, such as `application/json`.
        content_type: &'static str,
    },
}
impl Source {
    /// Returns `true` if a record or entry with this name belongs to the source.
    pub fn handles(&self, found: &str) -> bool {
        match self {
            Source::Log(names) => names.contains(&found),
            Source::Topic { name, .. } => *name == found,
        }
    }
    /// Returns the names of the events.
    pub(crate) fn names(&self) -> &[&'static str] {
        match self {
            Source::Log(names) => names,
            Source::Topic { name, .. } => std::slice::from_ref(name),
        }
    }
    /// Returns the topic; `None` for the service's own log.
    pub(crate) fn topic(&self) -> Option<&'static str> {
        match self {
            Source::Log(_) => None,
            Source::Topic { topic, .. } => Some(topic),
        }
    }
    /// Returns the names of the events of the service's own log; empty for a topic.
    pub(crate) fn names_on_log(&self) -> &'static [&'static str] {
        match self {
            Source::Log(names) => names,
            Source::Topic { .. } => &[],
        }
    }
    /// Checks that the decoder of the source reads this content type.
    ///
    /// Parameters and the case of letters make no difference. A record without a content type is accepted, because
    /// CloudEvents leaves the attribute to the producer.
    pub(super) fn reads(&self, content_type: Option<&str>) -> Result<(), BoxError> {
        let (Source::Topic { name, content_type: expected, .. }, Some(found)) = (self, content_type) else {
            return Ok(());
        };
        let media_type = |text: &str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if media_type(found) == media_type(expected) {
            return Ok(());
        }
        Err(format!("the content type of the record is `{found}`, and {name} is read as `{expected}`").into())
    }
}

/// An event that a subscriber or projection can handle. The events of aggregates implement it;
/// `derive(IntegrationEvent)` and the code generation from contracts implement it for integration events.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be subscribed to",
    note = "subscribe to the event of an aggregate of this service (`#[aggregate(..., event = ...)]`) or to an integration event of another"
)]
pub trait Subscribable: Clone + Send + Sync + Sized + 'static {
    /// The source of the event.
    const SOURCE: Source;
    /// The type of the aggregate's id: that of the event's aggregate, and `()` for an integration event.
    type AggregateId: Clone + Send + Sync + 'static;
    /// Decodes the stored or published form.
    ///
    /// # Errors
    /// Returns an error when the bytes cannot be decoded.
    fn decode(name: &str, schema: u32, bytes: &[u8]) -> Result<Self, BoxError>;
    /// Parses the id of the aggregate from the name of its stream. An integration event returns `Ok(())`.
    ///
    /// # Errors
    /// Returns an error when the stream belongs to another aggregate or its id cannot be parsed.
    fn aggregate_id(stream: &str) -> Result<Self::AggregateId, BoxError>;
}
#[diagnostic::do_not_recommend]
impl<E: AggregateEvent> Subscribable for E {
    const SOURCE: Source = Source::Log(E::NAMES);
    type AggregateId = E::Id;
    fn decode(_: &str, schema: u32, bytes: &[u8]) -> Result<Self, BoxError> {
        decode_stored(schema, bytes)
    }
    fn aggregate_id(stream: &str) -> Result<E::Id, BoxError> {
        id_of::<E>(stream)
    }
}

/// A log entry or a record, with its event not decoded yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEvent {
    /// Id of the event. It is the same in every delivery.
    pub id: Uuid,
    /// The stream of the event: aggregate name and id.
    pub stream: String,
    /// The number of the event in its stream.
    pub version: u64,
    /// See [`Recorded::occurred_at`].
    pub occurred_at: Timestamp,
    /// Caller, cause and trace context.
    pub metadata: Metadata,
    /// The stored name, or the name of the integration event.
    pub name: String,
    /// The version of the stored form.
    pub schema: u32,
    /// The content type, if the record has one. Events of the log have none.
    pub content_type: Option<String>,
    /// The encoded event.
    pub bytes: Vec<u8>,
}

/// Decodes a raw event and the id of its aggregate.
///
/// # Errors
/// Returns an error when the content type is not the one that the event is decoded from, when the bytes cannot be
/// decoded, or when the id in the stream cannot be parsed.
pub fn decode<E: Subscribable>(raw: RawEvent) -> Result<Recorded<E>, BoxError> {
    E::SOURCE.reads(raw.content_type.as_deref())?;
    let event = E::decode(&raw.name, raw.schema, &raw.bytes)?;
    let aggregate_id = E::aggregate_id(&raw.stream)?;
    let RawEvent { id, stream, version, occurred_at, metadata, .. } = raw;
    Ok(Recorded { event, aggregate_id, id, stream, version, occurred_at, metadata })
}

/// Decodes a stored event of the service's own log.
///
/// # Errors
/// Returns an error when a newer program stored the event, when an upcaster fails ([`UpcastError`]), or when the bytes
/// cannot be decoded.
pub fn decode_stored<E: Event>(schema: u32, bytes: &[u8]) -> Result<E, BoxError> {
    if schema > E::VERSION {
        return Err(format!("stored by a newer program: version {schema}, this one reads up to {}", E::VERSION).into());
    }
    if schema == E::VERSION || E::UPCASTERS.is_empty() {
        return Ok(codec::decode(bytes)?);
    }
    let mut json = codec::decode(bytes)?;
    for (upcast, version) in E::UPCASTERS.iter().zip(1..).skip(schema.saturating_sub(1) as usize) {
        let event = E::NAMES.first().copied().unwrap_or_default();
        json = upcast(json).map_err(|source| UpcastError { event, version, source })?;
    }
    Ok(serde_json::from_value(json)?)
}

/// A function from the stored JSON of one version of an event to that of the next one.
pub type Upcaster = fn(serde_json::Value) -> Result<serde_json::Value, BoxError>;

/// The error of an upcaster that has refused a stored event.
#[derive(Debug, thiserror::Error)]
#[error("the upcaster of version {version} failed for the events of `{event}`")]
#[non_exhaustive]
pub struct UpcastError {
    /// The first stored name of the event's type.
    pub event: &'static str,
    /// The version from which the upcaster makes the next one.
    pub version: u32,
    /// The error of the upcaster.
    #[source]
    pub source: BoxError,
}
