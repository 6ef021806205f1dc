//! Probes: observe a run from outside, by SQL, and with clients of Kafka and Redis that know nothing of the framework.
pub mod broker;
pub mod database;
pub mod flows;
pub mod views;
