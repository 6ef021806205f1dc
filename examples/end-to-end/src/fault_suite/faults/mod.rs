//! The faults, grouped by component. Each starts its processes and injects the fault;
//! [`Fixture::finish`](super::fixture::Fixture::finish) ends every scenario.
pub(super) mod broker;
pub(super) mod consumer;
pub(super) mod database;
pub(super) mod deploy;
pub(super) mod fatal;
pub(super) mod mock;
pub(super) mod network;
pub(super) mod pace;
pub(super) mod parked;
pub(super) mod poison;
pub(super) mod pooler;
pub(super) mod query_side;
pub(super) mod rebuild;
pub(super) mod relay;
pub(super) mod shutdown;
pub(super) mod third_party;
pub(super) mod topic;
