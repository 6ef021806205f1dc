//! The due timers of one key, which are fired one after the other.
use super::firing::{Attempt, Clock, Runner, fire};
use crate::{runtime::Runtime, storage::Timer};
use std::sync::Arc;

/// The due timers of one key in the order of their times, each with what carries out its command.
pub(super) struct Line {
    pub(super) key: String,
    pub(super) timers: Vec<(Timer, Option<Runner>)>,
    /// The reading of the clock by which they are due.
    pub(super) clock: Clock,
}

/// The attempts to fire the timers of one key.
pub(super) struct Fired {
    pub(super) key: String,
    pub(super) attempts: Vec<(Timer, Attempt)>,
}

/// Fires the timers of one key, up to the first one that is not done. It begins no further one while the app stops.
pub(super) async fn fire_in_order(runtime: Arc<Runtime>, line: Line) -> Fired {
    let Line { key, timers, clock } = line;
    let mut attempts = Vec::with_capacity(timers.len());
    for (timer, runner) in timers {
        let attempt = match runner {
            Some(runner) => fire(&runtime, runner, &timer, clock).await,
            None => Attempt::Unreadable(format!("no handler of this program handles the command {}", timer.command)),
        };
        let is_done = attempt.is_done();
        attempts.push((timer, attempt));
        if !is_done || *runtime.stopping.borrow() {
            break;
        }
    }
    Fired { key, attempts }
}
