//! A handler whose error is not a domain error.
use cqrs_core::{Command, HandlerResult, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

#[handler]
async fn ping(_: Ping) -> HandlerResult<(), PingError> {
    Err(PingError)?
}
#[derive(Debug)]
struct PingError;

fn main() {}
