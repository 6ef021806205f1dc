//! The log: one row per event, what happened and what others are told; every reader has a position of its own.
mod follow;
mod lane;
mod relay;
mod retention;

pub use follow::LogFollower;
pub use lane::lane_of;
pub use relay::Relay;
pub use retention::{Keep, Retention};

use crate::Position;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing to do; everything up to here has been looked at.
    Idle(Position),
    /// This many events or records.
    Did(usize),
}
