//! Processes: use cases that take more than one command.
mod first_visit;

pub use first_visit::first_visit;
