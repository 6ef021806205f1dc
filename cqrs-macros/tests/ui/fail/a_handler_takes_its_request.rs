//! A handler without parameters.
use cqrs_core::{HandlerResult, Infallible, handler};

#[handler]
async fn ping() -> HandlerResult<(), Infallible> {
    Ok(())
}

fn main() {}
