//! What the stories are told with: a person with an HTTP client, and programs that can be started and killed; and the ledger.
mod deployment;
pub mod ledger;
mod person;
mod program;

pub use deployment::Deployment;
pub use person::{Person, Reply};
pub use program::{Program, free_port};
