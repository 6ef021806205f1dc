//! Checks of a batch before anything is written, so that all storages refuse the same batches.
#[cfg(feature = "redis")]
use crate::storage::ViewBatch;
use crate::{
    Timestamp,
    error::Fault,
    storage::{
        ParkedPage, Scan,
        batch::Batch,
        timer::{DueTime, NewTimer, TimerChange, TimerPage, TimerWrite},
    },
};

/// The largest size of a key together with the names beside it, in bytes. PostgreSQL's B-tree holds no larger ones.
const LONGEST_KEY: usize = 2_500;

/// Checks that a text can be stored: it has no NUL character. Reads check their keys with it, because a database that
/// cannot store such a text cannot look for it either.
///
/// # Errors
/// Returns an invalid [`Fault`] that names the offending text.
pub(super) fn text(what: &'static str, text: &str) -> Result<(), Fault> {
    match text.contains('\0') {
        true => Err(Fault::invalid(format!("{what} {:?} contains a NUL character", start(text)))),
        false => Ok(()),
    }
}

/// Checks that the parts of a key fit together into one entry of a database's index.
fn size(what: &'static str, parts: &[&[u8]]) -> Result<(), Fault> {
    match parts.iter().map(|part| part.len()).sum::<usize>() {
        ..=LONGEST_KEY => Ok(()),
        long => {
            Err(Fault::invalid(format!("{what} has {long} bytes with its name; at most {LONGEST_KEY} can be stored")))
        }
    }
}

/// Returns the first characters of a text, for an error message.
fn start(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Checks that every database can store the batch: text without NUL characters, keys of at most 2,500 bytes together
/// with the names beside them, and numbers up to `i64::MAX`.
///
/// # Errors
/// Returns a [`Fault`] that names the offending part of the batch: an invalid one for a text or key, and an internal
/// one for a number.
pub fn check(batch: &Batch) -> Result<(), Fault> {
    let number = |what: &'static str, number: u64| {
        let checked = i64::try_from(number).map(drop);
        checked.map_err(|_| Fault::internal(format!("{what} {number} is greater than {}", i64::MAX)))
    };
    for read in &batch.reads {
        text("the read aggregate's kind", read.kind)?;
        text("the read aggregate's id", &read.id)?;
        number("the read aggregate's version", read.version)?;
    }
    for row in &batch.rows {
        text("the row's kind", row.kind)?;
        text("the row's id", &row.id)?;
        size("the row's id", &[row.kind.as_bytes(), row.id.as_bytes()])?;
        number("the row's expected version", row.expected)?;
        number("the row's version", row.version)?;
    }
    for snapshot in &batch.snapshots {
        text("the snapshot's kind", snapshot.kind)?;
        text("the snapshot's id", &snapshot.id)?;
        size("the snapshot's id", &[snapshot.kind.as_bytes(), snapshot.id.as_bytes()])?;
        number("the snapshot's version", snapshot.version)?;
    }
    for event in &batch.events {
        text("the stream", &event.stream)?;
        size("the stream", &[event.stream.as_bytes()])?;
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
        value(&reservation.index, &reservation.value)?;
        text("the reservation's owner", &reservation.owner)?;
    }
    for view in &batch.views {
        text("the view", view.view)?;
        text("the view's key", &view.key)?;
        size("the view's key", &[view.view.as_bytes(), view.key.as_bytes()])?;
        number("the view's version", view.expected)?;
        for (index, entry) in &view.entries {
            text("the view's index", index)?;
            size("the index entry", &[view.view.as_bytes(), index.as_bytes(), entry, view.key.as_bytes()])?;
        }
    }
    for step in &batch.checkpoint_moves {
        text("the reader", &step.reader)?;
        size("the reader", &[step.reader.as_bytes()])?;
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
    batch.timers.iter().try_for_each(timer)?;
    batch.inbox_records.iter().try_for_each(|inbox_record| text("the consumer group", &inbox_record.group))?;
    batch.response.iter().try_for_each(|response| {
        text("the stored response's key", &response.key)?;
        size("the stored response's key", &[response.key.as_bytes()])
    })
}

/// The longest time until a timer is due, in days: a hundred years. A later one is a mistake of units.
const LONGEST_WAIT: i64 = 36_525;

/// Checks the write of a timer. A time that has passed is accepted: the timer is due at once.
fn timer(write: &TimerWrite) -> Result<(), Fault> {
    text("the timer's name", &write.name)?;
    size("the timer's name", &[write.name.as_bytes()])?;
    let new = match &write.change {
        TimerChange::Set(new) => new,
        TimerChange::Remove => return Ok(()),
        TimerChange::Update { due, error } => {
            if write.fired.is_none() {
                return Err(Fault::internal(format!("timer {} is updated without being fired", write.name)));
            }
            in_range(&write.name, DueTime::At(*due))?;
            return text("the timer's error", error.as_deref().unwrap_or_default());
        }
    };
    let NewTimer { key, command, metadata, calendar, set_by, .. } = new;
    in_range(&write.name, new.due)?;
    text("the timer's key", key)?;
    size("the timer's key", &[key.as_bytes()])?;
    text("the timer's command", command)?;
    text("the timer's calendar", calendar.as_deref().unwrap_or_default())?;
    text("the name of what sets the timer", set_by)?;
    text("the caller", metadata.caller.as_deref().unwrap_or_default())?;
    text("the traceparent", metadata.traceparent.as_deref().unwrap_or_default())?;
    text("the tracestate", metadata.tracestate.as_deref().unwrap_or_default())
}
/// Checks that a timer is due within a hundred years. A point in time is compared with a fixed one, since this check has no
/// clock: the wait may be a few decades longer.
fn in_range(name: &str, due: DueTime) -> Result<(), Fault> {
    let is_in_range = match due {
        DueTime::After(wait) => wait.as_secs() / 86_400 <= LONGEST_WAIT as u64,
        DueTime::At(at) => (at - Timestamp::UNIX_EPOCH).num_days().abs() <= 2 * LONGEST_WAIT,
    };
    match is_in_range {
        true => Ok(()),
        false => Err(Fault::invalid(format!("timer {name:?} is due in more than 100 years"))),
    }
}
/// Checks the texts of a page of timers.
pub(super) fn timers(page: &TimerPage<'_>) -> Result<(), Fault> {
    text("the timer's name", page.name.unwrap_or_default())
}

/// Checks that every store can apply the batch, with the same limits as [`check`].
#[cfg(feature = "redis")]
pub(super) fn view_batch(batch: &ViewBatch) -> Result<(), Fault> {
    text("the view", &batch.view)?;
    for write in &batch.writes {
        text("the view's key", &write.key)?;
        size("the view's key", &[batch.view.as_bytes(), write.key.as_bytes()])?;
        for (index, entry) in &write.entries {
            text("the view's index", index)?;
            size("the index entry", &[batch.view.as_bytes(), index.as_bytes(), entry, write.key.as_bytes()])?;
        }
    }
    batch.moves.iter().try_for_each(|step| text("the reader", &step.reader))
}

/// Checks that a unique value can be reserved.
pub(crate) fn value(index: &str, value: &str) -> Result<(), Fault> {
    text("the reservation's index", index)?;
    text("the reservation's value", value)?;
    size("the reservation's value", &[index.as_bytes(), value.as_bytes()])
}
/// Checks the texts of a read of a row or stream, and of the stored response beside it.
pub(super) fn key(key: &str, response: Option<&str>) -> Result<(), Fault> {
    text("the id", key)?;
    text("the stored response's key", response.unwrap_or_default())
}
/// Checks the texts of a range of an index.
pub(super) fn range(scan: &Scan<'_>) -> Result<(), Fault> {
    text("the cursor's key", scan.from.1)?;
    text("the cursor's key", scan.until.map_or("", |(_, key)| key))
}
/// Checks the texts of a page of parked keys.
pub(super) fn page(page: &ParkedPage<'_>) -> Result<(), Fault> {
    let (reader, key) = page.after.unwrap_or_default();
    text("the reader", page.reader.unwrap_or_default())?;
    text("the cursor's reader", reader)?;
    text("the cursor's key", key)
}
/// Checks the keys of a read of views.
pub(super) fn keys(keys: &[String]) -> Result<(), Fault> {
    keys.iter().try_for_each(|key| text("the view's key", key))
}
