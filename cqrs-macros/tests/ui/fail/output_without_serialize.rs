//! A command whose output does not derive `Serialize` and `Deserialize`.
use cqrs_core::{Command, HandlerResult, Infallible, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

struct Pong;

#[handler]
async fn ping(_: Ping) -> HandlerResult<Pong, Infallible> {
    Ok(Pong)
}

fn main() {}
