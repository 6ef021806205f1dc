//! Checks of a batch before anything is written, so that all storages refuse the same batches.
use crate::{error::Fault, storage::batch::Batch};

/// Checks that every database can store the batch: text without NUL characters, and numbers up to `i64::MAX`.
///
/// # Errors
/// Returns an internal [`Fault`] that names the offending part of the batch.
pub fn check(batch: &Batch) -> Result<(), Fault> {
    let text = |what: &'static str, text: &str| match text.contains('\0') {
        true => Err(Fault::internal(format!("{what} contains a NUL character"))),
        false => Ok(()),
    };
    let number = |what: &'static str, number: u64| {
        let checked = i64::try_from(number).map(drop);
        checked.map_err(|_| Fault::internal(format!("{what} {number} is greater than {}", i64::MAX)))
    };
    for row in &batch.rows {
        text("the row's kind", row.kind)?;
        text("the row's id", &row.id)?;
        number("the row's expected version", row.expected)?;
        number("the row's version", row.version)?;
    }
    for event in &batch.events {
        text("the stream", &event.stream)?;
        text("the event's name", event.name)?;
        text("the caller", event.metadata.caller.as_deref().unwrap_or_default())?;
        text("the traceparent", event.metadata.traceparent.as_deref().unwrap_or_default())?;
        text("the tracestate", event.metadata.tracestate.as_deref().unwrap_or_default())?;
        number("the event's version", event.version)?;
        if let Some(outgoing) = &event.outgoing {
            text("the topic", &outgoing.topic)?;
            text("the key", &outgoing.key)?;
            text("the integration event's name", &outgoing.name)?;
            text("the content type", &outgoing.content_type)?;
        }
    }
    for reservation in &batch.reservations {
        text("the reservation's index", &reservation.index)?;
        text("the reservation's value", &reservation.value)?;
        text("the reservation's owner", &reservation.owner)?;
    }
    for view in &batch.views {
        text("the view", view.view)?;
        text("the view's key", &view.key)?;
        number("the view's version", view.expected)?;
        view.entries.iter().try_for_each(|(index, _)| text("the view's index", index))?;
    }
    for step in &batch.checkpoint_moves {
        text("the reader", &step.reader)?;
        number("the checkpoint", step.from.max(step.to))?;
    }
    for park in &batch.parks {
        text("the reader", &park.reader)?;
        text("the parked key", &park.key)?;
        text("the error", &park.error)?;
        number("the parked message's place", park.at)?;
        if let Some(record) = &park.record {
            text("the topic", &record.partition.topic)?;
            text("the partition", &record.partition.part)?;
        }
    }
    batch.unparks.iter().try_for_each(|parked| number("the parked message's number", *parked))?;
    batch.inbox_records.iter().try_for_each(|inbox_record| text("the consumer group", &inbox_record.group))?;
    batch.response.iter().try_for_each(|response| text("the stored response's key", &response.key))
}
