//! Helpers of the end-to-end tests (a person with an HTTP client, a visitor with a browser, programs that can be started and
//! killed) and the fault suite.
mod deployment;
pub mod fault_suite;
mod person;
mod program;
mod visitor;

pub use deployment::{Deployment, Variables};
pub use person::{Person, Reply, messages_in};
pub use program::{Program, free_port};
pub use visitor::Visitor;
