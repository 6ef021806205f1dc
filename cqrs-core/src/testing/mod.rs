//! Tests read as given, when, then; a whole service runs in memory; every backend proves itself with the same suite.
pub mod conformance;
mod decision;
mod layer;
mod settle;

pub use decision::{Given, When, given};
pub use layer::{StorageLayer, TransportLayer, WorldLayer};
pub use settle::{TestApp, settle};
