//! The faults, by what is broken. Each starts what it needs, breaks it, and leaves the rest to the end of every scenario.
pub(super) mod broker;
pub(super) mod consumer;
pub(super) mod database;
pub(super) mod mock;
pub(super) mod network;
pub(super) mod pace;
pub(super) mod poison;
pub(super) mod relay;
pub(super) mod shutdown;
