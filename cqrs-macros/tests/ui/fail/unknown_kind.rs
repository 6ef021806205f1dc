//! An unknown kind in `#[kind(...)]`.
use cqrs_core::DomainError;

#[derive(Debug, thiserror::Error, DomainError)]
enum PingError {
    #[error("closed")]
    #[kind(teapot)]
    Closed,
}

fn main() {}
