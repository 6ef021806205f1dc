//! The log: one row per event, what happened and what others are told; every reader has a position of its own.
mod lane;
pub use lane::lane_of;
