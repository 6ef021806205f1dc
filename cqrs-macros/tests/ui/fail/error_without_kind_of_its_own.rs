//! A handler whose error is no domain error.
use cqrs_core::{Command, Result, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

#[handler]
async fn ping(_: Ping) -> Result<(), PingError> {
    Err(PingError)?
}
#[derive(Debug)]
struct PingError;

fn main() {}
