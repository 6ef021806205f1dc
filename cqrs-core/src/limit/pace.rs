//! The pace of a limit: the time of the next start is a note in the database, which each start moves on by
//! compare-and-set.
use super::Parts;
use crate::{Timestamp, error::Fault};
use chrono::TimeDelta;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};

/// How far ahead a start is reserved. A process that ends before it leaves a gap of at most this time.
const AHEAD: Duration = Duration::from_secs(1);
/// The time after which the database's clock is read again.
const CLOCK_AGE: Duration = Duration::from_secs(60);
/// A next start further ahead than any reservation, by more than this, was stored before the database's clock was set
/// back.
const CLOCK_WAS_SET: Duration = Duration::from_secs(5);

/// The pace of a limit, as this process knows it.
pub(super) struct Pace {
    interval: Duration,
    /// Held by the one attempt of this process that asks for a start.
    turn: Mutex<()>,
    known: Mutex<Known>,
}
#[derive(Default)]
struct Known {
    /// The database's clock, with the uptime at which it was read.
    clock: Option<(Timestamp, Duration)>,
    /// The stored note, if it was read: the time of the next start in microseconds, or `None` before the first one.
    note: Option<Option<String>>,
}

/// The answer to an attempt that asks for a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// The start is reserved, after this wait.
    In(Duration),
    /// The next start is too far ahead to be reserved.
    AskAgainIn(Duration),
}

impl Pace {
    pub(super) fn new(interval: Duration) -> Self {
        Pace { interval, turn: Mutex::default(), known: Mutex::default() }
    }
    /// Waits for the turn to ask for a start, which the caller keeps until it has one. So thousands of waiting attempts ask
    /// the database as one does.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }
    /// Reserves the next start, if it is near. The note of this name is shared by all replicas.
    pub(super) async fn reserve(&self, parts: &Parts, note: &str) -> Result<Start, Fault> {
        let mut known = self.known.lock().await;
        loop {
            let now = known.now(parts).await?;
            let stored = match known.note.take() {
                Some(stored) => stored,
                None => read(parts, note).await?,
            };
            let next = stored.as_deref().and_then(|text| text.parse::<i64>().ok());
            let next = next.and_then(Timestamp::from_timestamp_micros);
            let (wait, after) = self.next(now, next);
            if wait > AHEAD {
                // Another replica may move the note on, and the clock may be set.
                return Ok(Start::AskAgainIn(wait - AHEAD));
            }
            let value = after.timestamp_micros().to_string();
            if parts.storage.replace_note(note, stored.as_deref(), Some(&value)).await? {
                known.note = Some(Some(value));
                return Ok(Start::In(wait));
            }
        }
    }
    /// Returns the wait for the next start, and the time of the one after it.
    fn next(&self, now: Timestamp, next: Option<Timestamp>) -> (Duration, Timestamp) {
        let span = |time: Duration| TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
        let furthest = now
            .checked_add_signed(span(self.interval.saturating_add(AHEAD + CLOCK_WAS_SET)))
            .unwrap_or(Timestamp::MAX_UTC);
        let start = match next {
            // The pace is kept also when the clock was set back, since the last start may have been just now.
            Some(next) if next > furthest => now.checked_add_signed(span(self.interval)).unwrap_or(now),
            Some(next) => next.max(now),
            None => now,
        };
        let after = start.checked_add_signed(span(self.interval)).unwrap_or(Timestamp::MAX_UTC);
        ((start - now).to_std().unwrap_or_default(), after)
    }
}
impl Known {
    /// Returns the time of the database. It is read once a minute, and this process counts on from there.
    async fn now(&mut self, parts: &Parts) -> Result<Timestamp, Fault> {
        let uptime = parts.environment.uptime();
        let age = |(_, read): &(Timestamp, Duration)| uptime.saturating_sub(*read);
        if self.clock.as_ref().is_none_or(|clock| age(clock) > CLOCK_AGE) {
            // The answer is of a time before it arrives, so a start is never too early.
            let now = parts.storage.due_timers(None, 1).await?.now;
            self.clock = Some((now, parts.environment.uptime()));
        }
        let (read, at) = self.clock.unwrap_or_default();
        let passed = parts.environment.uptime().saturating_sub(at);
        Ok(read + TimeDelta::from_std(passed).unwrap_or_default())
    }
}

async fn read(parts: &Parts, name: &str) -> Result<Option<String>, Fault> {
    let notes = parts.storage.notes(name).await?;
    Ok(notes.into_iter().find(|(found, _)| found == name).map(|(_, value)| value))
}

#[cfg(test)]
mod tests {
    use super::{CLOCK_WAS_SET, Pace};
    use crate::Timestamp;
    use std::time::Duration;

    #[test]
    fn starts_are_evenly_spaced_also_after_the_clock_was_set_back() {
        let (pace, now) = (Pace::new(Duration::from_secs(2)), Timestamp::UNIX_EPOCH + Duration::from_secs(1_000));
        assert_eq!(pace.next(now, None), (Duration::ZERO, now + Duration::from_secs(2)));
        let soon = now + Duration::from_millis(500);
        assert_eq!(pace.next(now, Some(soon)), (Duration::from_millis(500), soon + Duration::from_secs(2)));
        let long_ago = now - Duration::from_secs(600);
        assert_eq!(pace.next(now, Some(long_ago)), (Duration::ZERO, now + Duration::from_secs(2)));
        let far = now + Duration::from_secs(4) + CLOCK_WAS_SET;
        assert_eq!(pace.next(now, Some(far)), (Duration::from_secs(2), now + Duration::from_secs(4)));
    }
}
