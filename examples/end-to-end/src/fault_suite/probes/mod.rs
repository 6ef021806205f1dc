//! Probes: observe a run from outside, by SQL and with a Kafka client that is independent of the framework.
pub mod broker;
pub mod database;
