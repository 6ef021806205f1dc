//! A handler that returns the standard library's `Result` with a bare domain error.
use cqrs_core::{Command, DomainError, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

#[derive(Debug, thiserror::Error, DomainError)]
#[error("closed")]
#[kind(precondition)]
enum PingError {
    Closed,
}

#[handler]
async fn ping(_: Ping) -> std::result::Result<(), PingError> {
    Err(PingError::Closed)
}

fn main() {}
