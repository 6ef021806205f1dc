//! A domain error that does not implement `std::error::Error`.
use cqrs_core::DomainError;

#[derive(Debug, DomainError)]
enum PingError {
    #[kind(precondition)]
    Closed,
}

fn main() {}
