//! Publishers: functions that map a recorded event to an integration event.
use crate::{
    error::Fault,
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
    let key = message.key();
    if key.is_empty() {
        return Err(Fault::internal(format!("{} has an empty key; messages without a key have no order", C::NAME)));
    }
    let body = message.encode();
    let body = body.map_err(|error| match error.downcast::<Fault>() {
        Ok(fault) => *fault,
        Err(error) => Fault::internal(format!("{} cannot be encoded", C::NAME)).because(error),
    })?;
    if body.len() > MAX_BODY {
        return Err(Fault::internal(format!("the body of {} is larger than {MAX_BODY} bytes", C::NAME)));
    }
    let (topic, name, content_type) = (C::TOPIC.to_owned(), C::NAME.to_owned(), C::CONTENT_TYPE.to_owned());
    Ok(Some(OutgoingMessage { topic, shard: shard_of(&key), key, name, content_type, body }))
}
