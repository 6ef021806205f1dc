//! The suites every backend passes; public, so that others can prove their own.
pub mod storage;
pub mod transport;
