//! The steps of a background job, and their pace.
use crate::{environment::Environment, position::Position};
use std::time::Duration;

/// The result of one step of a background job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There was nothing to do. The job has read everything up to this position, and the next entry of the log wakes it.
    Idle(Position),
    /// As `Idle`, but the job has to be called again after this time at the latest.
    IdleFor(Position, Duration),
    /// There was nothing to do, and no entry of the log changes that. The job has to be called again after this time.
    Paused(Duration),
    /// The step processed this many events or records.
    Did(usize),
}

/// The interval of the background ticks.
///
/// A batch costs about as much as a command, whatever its size, and competes with commands for the processor and the
/// disk. Therefore the events of ten milliseconds share a batch, and all jobs of an app start together, so that one read
/// of the log serves them all. A read that waits for a projection does not wait for the tick. With five milliseconds, a
/// message of the Hearlers services took 9.8 ms instead of 7.3 on two cores, because its own projections and relays
/// competed with it twice.
const TICK: Duration = Duration::from_millis(10);

/// Waits until the next tick, which all jobs of a process share.
pub(crate) async fn next_tick(environment: &dyn Environment) {
    let tick = TICK.as_nanos();
    let into = environment.uptime().as_nanos() % tick;
    environment.sleep(Duration::from_nanos((tick - into) as u64)).await;
}
