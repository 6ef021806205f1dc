//! Two handlers for one command.
use cqrs_core::{Command, HandlerResult, Infallible, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

#[handler]
async fn one(_: Ping) -> HandlerResult<(), Infallible> {
    Ok(())
}
#[handler]
async fn two(_: Ping) -> HandlerResult<(), Infallible> {
    Ok(())
}

fn main() {}
