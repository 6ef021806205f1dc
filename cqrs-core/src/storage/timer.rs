//! Timers: commands that are stored with the time at which they are sent.
use crate::{Timestamp, metadata::Metadata};
use std::time::Duration;
use uuid::Uuid;

/// A change of one timer, as part of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct TimerWrite {
    /// The timer's name. At most one timer has it.
    pub name: String,
    /// The firing that this batch is the effect of. The batch is refused as [`CommitError::Moved`](crate::storage::CommitError::Moved)
    /// unless the stored timer is still this one and has this time, so that a timer is fired once.
    pub fired: Option<Firing>,
    /// The timer after this batch.
    pub change: TimerChange,
}

/// A timer at one of its times. A recurring timer has many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Firing {
    /// The time at which the timer is due.
    pub due: Timestamp,
    /// The timer's id.
    pub id: Uuid,
}

/// A timer after a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum TimerChange {
    /// There is a new timer under the name, in place of the former one.
    Set(NewTimer),
    /// There is no timer under the name. It is no error if there was none.
    Remove,
    /// The timer that was fired waits for another time, or for an operator. It needs [`TimerWrite::fired`].
    Update {
        /// The next time of a recurring timer, or the same time.
        due: Timestamp,
        /// The error for which the timer is not fired again, as a text for the operator. It never contains the command.
        error: Option<String>,
    },
}

/// A timer to set.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTimer {
    /// The id. A timer that replaces another one has another id.
    pub id: Uuid,
    /// The time at which the command is sent.
    pub due: DueTime,
    /// The key within which timers are fired in the order of their times.
    pub key: String,
    /// The command's name.
    pub command: String,
    /// The encoded command.
    pub body: Vec<u8>,
    /// The metadata of the command that has set the timer. Only the parts that are stored with an event are kept.
    pub metadata: Metadata,
    /// The calendar of a recurring timer, as text; `None` for one that is fired once.
    pub calendar: Option<String>,
    /// The command, group or process that has set the timer.
    pub set_by: String,
}

/// The time at which a timer is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueTime {
    /// A point in time.
    At(Timestamp),
    /// The time that the database's clock shows at the commit, and this long after it.
    After(Duration),
}

/// A stored timer.
#[derive(Debug, Clone, PartialEq)]
pub struct Timer {
    /// The name.
    pub name: String,
    /// The id.
    pub id: Uuid,
    /// The time at which the command is sent.
    pub due: Timestamp,
    /// The key within which timers are fired in the order of their times.
    pub key: String,
    /// The command's name.
    pub command: String,
    /// The encoded command.
    pub body: Vec<u8>,
    /// The stored metadata of the command that has set the timer.
    pub metadata: Metadata,
    /// The calendar of a recurring timer, as text.
    pub calendar: Option<String>,
    /// The command, group or process that has set the timer.
    pub set_by: String,
    /// The time of the commit that has set the timer, by the database's clock.
    pub set_at: Timestamp,
    /// The error for which the timer is not fired again, until an operator retries or cancels it.
    pub error: Option<String>,
}
impl Timer {
    /// Returns the timer at its present time.
    pub fn firing(&self) -> Firing {
        Firing { due: self.due, id: self.id }
    }
}

/// Timers that are due.
#[derive(Debug, Clone, PartialEq)]
pub struct DueTimers {
    /// The time of the read, by the database's clock.
    pub now: Timestamp,
    /// The due timers in the order of their times, and of their ids at the same time. Timers of a key that has a failed timer
    /// are left out.
    pub timers: Vec<Timer>,
    /// The time of the first timer that is not due yet.
    pub next: Option<Timestamp>,
}

/// The timers of a listing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TimerState {
    /// All timers.
    #[default]
    All,
    /// Timers whose time has passed.
    Overdue,
    /// Timers whose command cannot be handled, which wait for an operator.
    Failed,
}

/// A page of timers, in the order of their times, and of their ids at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerPage<'a> {
    /// The listed timers.
    pub state: TimerState,
    /// The name of the only timer to return.
    pub name: Option<&'a str>,
    /// The timer after which the page begins.
    pub after: Option<Firing>,
    /// The largest number of timers.
    pub limit: usize,
}
impl Default for TimerPage<'_> {
    fn default() -> Self {
        TimerPage { state: TimerState::All, name: None, after: None, limit: 100 }
    }
}

/// The number of timers, counted up to a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimerCounts {
    /// The timers that wait for their time.
    pub waiting: u64,
    /// The timers whose time has passed, without the failed ones.
    pub overdue: u64,
    /// The timers whose command cannot be handled.
    pub failed: u64,
    /// The time since which the first overdue timer is due.
    pub overdue_for: Duration,
}

/// Returns a place before every timer. No time of a timer is further than two hundred years from 1970.
pub(super) fn before_all() -> Firing {
    Firing { due: Timestamp::UNIX_EPOCH - chrono::TimeDelta::days(366 * 1_000), id: Uuid::nil() }
}
/// Returns the metadata that is stored with a timer.
pub(super) fn stored_metadata(metadata: Metadata) -> Metadata {
    let Metadata { correlation, causation, caller, traceparent, tracestate, .. } = metadata;
    Metadata { correlation, causation, caller, traceparent, tracestate, ..Metadata::NONE }
}
