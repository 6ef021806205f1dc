//! A command that does not derive `Clone`.
use cqrs_core::{Command, HandlerResult, Infallible, handler};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Command)]
struct Ping;

#[handler]
async fn ping(_: Ping) -> HandlerResult<(), Infallible> {
    Ok(())
}

fn main() {}
