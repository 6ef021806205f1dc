//! The next time of a recurring timer.
use crate::{Timestamp, error::Fault, storage::Timer};

/// Returns the time of a timer after it was fired at `now`, or `None` if it is not fired again. Times up to `now` are skipped.
///
/// # Errors
/// Fails if the calendar cannot be read.
#[cfg(feature = "calendar")]
pub(crate) fn next_time(timer: &Timer, now: Timestamp) -> Result<Option<Timestamp>, Fault> {
    let Some(text) = &timer.calendar else { return Ok(None) };
    let calendar = super::Calendar::of_text(text);
    let calendar = calendar.map_err(|error| Fault::internal("the timer's calendar cannot be read").because(error))?;
    Ok(calendar.next_after(now.max(timer.due)))
}
/// Returns `None` for a timer that is fired once.
///
/// # Errors
/// Fails for a recurring timer: this program is built without calendars.
#[cfg(not(feature = "calendar"))]
pub(crate) fn next_time(timer: &Timer, _: Timestamp) -> Result<Option<Timestamp>, Fault> {
    match &timer.calendar {
        None => Ok(None),
        Some(_) => Err(Fault::internal("the timer recurs, and this program is built without the feature `calendar`")),
    }
}
