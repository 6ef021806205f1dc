//! The result of one step of a background job.
use crate::position::Position;
use std::time::Duration;

/// The result of one step of a background job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There was nothing to do. The job has read everything up to this position.
    Idle(Position),
    /// There was nothing to do either, but the job has to be called again after this time at the latest.
    IdleFor(Position, Duration),
    /// The step processed this many events or records.
    Did(usize),
}
