//! A rule of which nobody knows whose fault it is.
use cqrs_core::DomainError;

#[derive(Debug, thiserror::Error, DomainError)]
enum PingError {
    #[error("closed")]
    Closed,
}

fn main() {}
