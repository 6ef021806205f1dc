//! A command that does not derive `Serialize` and `Deserialize`.
use cqrs_core::{Command, HandlerResult, Infallible, handler};

#[derive(Clone, Command)]
struct Ping;

#[handler]
async fn ping(_: Ping) -> HandlerResult<(), Infallible> {
    Ok(())
}

fn main() {}
