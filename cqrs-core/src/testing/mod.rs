//! Test support: given-when-then tests of aggregates, whole services in memory, and conformance suites for backends.
pub mod conformance;
mod decision;
mod layer;
mod settle;

pub use decision::{Given, When, given};
pub use layer::{EnvironmentLayer, StorageLayer, TransportLayer};
pub use settle::{NotSettled, TestApp, settle, settled_within};
