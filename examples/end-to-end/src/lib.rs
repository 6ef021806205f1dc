//! Helpers of the end-to-end tests (a person with an HTTP client, programs that can be started and killed) and the
//! fault suite.
mod deployment;
pub mod fault_suite;
mod person;
mod program;

pub use deployment::Deployment;
pub use person::{Person, Reply};
pub use program::{Program, free_port};
