//! Publishers: functions that map a recorded event to an integration event.
use crate::{
    error::{BoxError, Fault},
    event::AggregateEvent,
    event::Subscribable,
    event::entry::{NewEntry, OutgoingMessage},
    event::integration::IntegrationEvent,
    event::recorded::Recorded,
    event::shard::shard_of,
};
use std::any::{Any, TypeId};

#[derive(Clone, Copy)]
pub(crate) struct Publisher {
    pub(crate) event: fn() -> TypeId,
    pub(crate) contract: &'static str,
    /// The integration event has personal fields.
    pub(crate) is_personal: bool,
    pub(crate) topic: &'static str,
    pub(crate) run: RunPublisher,
}

/// A function that calls a publisher.
pub type RunPublisher = fn(&(dyn Any + Send + Sync), &NewEntry) -> Result<Option<OutgoingMessage>, Fault>;

/// The largest message body, in bytes. With its headers it fits Kafka's default limit of 1 MiB per message.
const MAX_BODY: usize = 1_000_000;

/// Runs a publisher for an entry and checks the integration event that it returns.
///
/// This happens before the commit, so that an invalid integration event still refuses the command.
///
/// # Errors
/// Returns a [`Fault`] when the id in the entry's stream cannot be parsed, when the key is empty, when the event cannot
/// be encoded, or when the body is larger than 1,000,000 bytes.
pub fn outgoing_message<E: AggregateEvent, C: IntegrationEvent>(
    event: &(dyn Any + Send + Sync),
    entry: &NewEntry,
    publish: impl FnOnce(&Recorded<E>) -> Option<C>,
) -> Result<Option<OutgoingMessage>, Fault> {
    let event = event.downcast_ref::<E>();
    let event = event.ok_or_else(|| Fault::internal("a publisher received an event of another type"))?;
    let aggregate_id = E::aggregate_id(&entry.stream)
        .map_err(|error| Fault::internal("an event cannot be published").because(error))?;
    let recorded = Recorded {
        event: event.clone(),
        aggregate_id,
        id: entry.id,
        stream: entry.stream.clone(),
        version: entry.version,
        occurred_at: entry.occurred_at,
        metadata: entry.metadata.clone(),
    };
    let Some(message) = publish(&recorded) else { return Ok(None) };
    checked((C::TOPIC, C::NAME, C::CONTENT_TYPE), message.key(), || message.encode()).map(Some)
}

/// Checks an outgoing message: its topic, name and content type, its key, and its body.
pub(super) fn checked(
    (topic, name, content_type): (&str, &str, &str),
    key: String,
    encode: impl FnOnce() -> Result<Vec<u8>, BoxError>,
) -> Result<OutgoingMessage, Fault> {
    if key.is_empty() {
        return Err(Fault::internal(format!("{name} has an empty key; messages without a key have no order")));
    }
    let body = encode().map_err(|error| match error.downcast::<Fault>() {
        Ok(fault) => *fault,
        Err(error) => Fault::internal(format!("{name} cannot be encoded")).because(error),
    })?;
    if body.len() > MAX_BODY {
        return Err(Fault::internal(format!("the body of {name} is larger than {MAX_BODY} bytes")));
    }
    let (topic, name, content_type) = (topic.to_owned(), name.to_owned(), content_type.to_owned());
    Ok(OutgoingMessage { topic, shard: shard_of(&key), key, name, content_type, body })
}
