//! Test support: given-when-then tests of aggregates and projections, whole services in memory, and conformance suites for backends.
pub mod conformance;
mod decision;
mod layer;
mod process;
mod projection;
mod settle;
mod virtual_time;

pub use decision::{Given, When, given};
pub use layer::{EnvironmentLayer, StorageLayer, TransportLayer};
pub use process::{ProcessTest, ProcessTested, process_of};
pub use projection::{Projected, Projections, projections_of};
pub use settle::{NotSettled, TestApp, settle, settled_within};
pub use virtual_time::VirtualTime;
