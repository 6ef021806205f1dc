//! Conformance suites for storages and transports. They are public, so that other implementations can run them.
pub mod storage;
pub mod transport;
