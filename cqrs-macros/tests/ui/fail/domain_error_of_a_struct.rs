//! A domain error that is a struct.
use cqrs_core::DomainError;

#[derive(Debug, thiserror::Error, DomainError)]
#[error("closed")]
#[kind(precondition)]
struct PingError;

fn main() {}
