//! Conformance suites for storages, key stores, view stores and transports. They are public, so that other
//! implementations can run them.
pub mod key_store;
pub mod storage;
pub mod transport;
pub mod view_store;
