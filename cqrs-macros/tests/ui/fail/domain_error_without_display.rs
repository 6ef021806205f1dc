//! A domain error that says nothing.
use cqrs_core::DomainError;

#[derive(Debug, DomainError)]
enum PingError {
    #[kind(precondition)]
    Closed,
}

fn main() {}
