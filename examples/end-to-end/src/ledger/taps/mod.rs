//! Taps: what is seen of a run from outside, by SQL and by a consumer without a group.
pub mod broker;
pub mod database;
