//! What no storage takes, checked before anything is written, so that every one refuses the same.
use crate::{Fault, batch::Batch};

/// Refuses what some database could not store: NUL in text, numbers above `i64::MAX`.
///
/// # Errors
/// An internal [`Fault`] that says which part of the batch it was.
pub fn check(batch: &Batch) -> Result<(), Fault> {
    let text = |what: &'static str, it: &str| {
        if it.contains('\0') { Err(Fault::internal(format!("{what} {it:?} holds a NUL character"))) } else { Ok(()) }
    };
    let number = |what: &'static str, it: u64| {
        i64::try_from(it).map(drop).map_err(|_| Fault::internal(format!("{what} {it} is too high")))
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
        if let Some(told) = &event.told {
            text("the topic", &told.topic)?;
            text("the key", &told.key)?;
            text("the contract's name", &told.name)?;
        }
    }
    for claim in &batch.claims {
        text("the claim's index", &claim.index)?;
        text("the claim's value", &claim.value)?;
        text("the claim's owner", &claim.owner)?;
    }
    for view in &batch.views {
        text("the view", view.view)?;
        text("the view's key", &view.key)?;
        number("the view's version", view.expected)?;
        view.entries.iter().try_for_each(|(index, _)| text("the view's index", index))?;
    }
    for step in &batch.moves {
        text("the reader", &step.reader)?;
        number("the reader's position", step.from.max(step.to))?;
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
    batch.unparks.iter().try_for_each(|it| number("the parked message", *it))?;
    batch.marks.iter().try_for_each(|mark| text("the group", &mark.group))?;
    batch.answer.iter().try_for_each(|answer| text("the answer's key", &answer.key))
}
