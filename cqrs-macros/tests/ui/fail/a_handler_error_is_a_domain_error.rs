//! A handler whose error type is not a domain error, and no `?` that would say so.
use cqrs_core::{Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

#[derive(Debug)]
struct PingError;

#[handler]
async fn ping(_: Ping) -> HandlerResult<(), PingError> {
    Ok(())
}

fn main() {}
