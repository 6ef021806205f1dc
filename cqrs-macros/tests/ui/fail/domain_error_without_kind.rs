//! A variant of a domain error without a kind.
use cqrs_core::DomainError;

#[derive(Debug, thiserror::Error, DomainError)]
enum PingError {
    #[error("closed")]
    Closed,
}

fn main() {}
