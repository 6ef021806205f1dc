//! A handler of a type that does not derive `Command` or `Query`.
use cqrs_core::{HandlerResult, Infallible, handler};

#[derive(Clone)]
struct Ping;

#[handler]
async fn ping(_: Ping) -> HandlerResult<(), Infallible> {
    Ok(())
}

fn main() {}
