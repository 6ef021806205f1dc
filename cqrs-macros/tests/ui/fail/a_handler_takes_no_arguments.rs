//! An argument of `#[handler]`, which takes none but a limit.
use cqrs_core::{Command, HandlerResult, Infallible, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

#[handler(retry = 3)]
async fn ping(_: Ping) -> HandlerResult<(), Infallible> {
    Ok(())
}

fn main() {}
