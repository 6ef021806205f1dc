//! Subscribable events: their source, and the decoding of their bytes.
use crate::{error::BoxError, event::Event, event::recorded::Recorded};

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
    /// Checks that the decoder of the source reads this content type.
    ///
    /// Parameters and the case of letters make no difference. A record without a content type is accepted, because
    /// CloudEvents leaves the attribute to the producer.
    fn reads(&self, content_type: Option<&str>) -> Result<(), BoxError> {
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

/// An event that a subscriber or projection can handle. `derive(Event)`, `derive(IntegrationEvent)` and
/// the code generation from contracts implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be subscribed to",
    note = "subscribe to an event of this service (`derive(Event)`) or to an integration event of another"
)]
pub trait Subscribable: Clone + Send + Sync + Sized + 'static {
    /// The source of the event.
    const SOURCE: Source;
    /// Decodes the stored or published form.
    ///
    /// # Errors
    /// Returns an error when the bytes cannot be decoded.
    fn decode(name: &str, schema: u32, bytes: &[u8]) -> Result<Self, BoxError>;
}

/// An event or record that is not decoded yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEvent {
    /// The stored name, or the name of the integration event.
    pub name: String,
    /// The version of the stored form.
    pub schema: u32,
    /// The content type, if the record has one. Events of the log have none.
    pub content_type: Option<String>,
    /// The encoded event.
    pub bytes: Vec<u8>,
}

/// Decodes the event of a recorded raw event.
///
/// # Errors
/// Returns an error when the content type is not the one that the event is decoded from, or when the bytes cannot be
/// decoded.
pub fn decode<E: Subscribable>(raw: Recorded<RawEvent>) -> Result<Recorded<E>, BoxError> {
    E::SOURCE.reads(raw.event.content_type.as_deref())?;
    let event = E::decode(&raw.event.name, raw.event.schema, &raw.event.bytes)?;
    Ok(raw.map(|_| event))
}

/// Decodes a stored event of the service's own log.
///
/// # Errors
/// Returns an error when a newer program stored the event, or when the bytes cannot be decoded.
pub fn decode_stored<E: Event>(schema: u32, bytes: &[u8]) -> Result<E, BoxError> {
    if schema > E::VERSION {
        return Err(format!("stored by a newer program: version {schema}, this one reads up to {}", E::VERSION).into());
    }
    Ok(serde_json::from_slice(bytes)?)
}
