//! Conformance suites for storages, view stores and transports. They are public, so that other implementations can run them.
pub mod storage;
pub mod transport;
pub mod view_store;
