//! A handler that is not async.
use cqrs_core::{Command, HandlerResult, Infallible, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

#[handler]
fn ping(_: Ping) -> HandlerResult<(), Infallible> {
    Ok(())
}

fn main() {}
