//! The result of one step of a background job.
use crate::position::Position;

/// The result of one step of a background job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There was nothing to do. The job has read everything up to this position.
    Idle(Position),
    /// The step processed this many events or records.
    Did(usize),
}
