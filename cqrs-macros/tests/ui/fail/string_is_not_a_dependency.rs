//! A handler parameter of a type that cannot be taken from the context.
use cqrs_core::{Command, HandlerResult, Infallible, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

#[handler]
async fn ping(_: Ping, greeting: String) -> HandlerResult<(), Infallible> {
    drop(greeting);
    Ok(())
}

fn main() {}
