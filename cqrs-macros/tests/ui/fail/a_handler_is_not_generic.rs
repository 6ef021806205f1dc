//! A handler with a type parameter.
use cqrs_core::{Command, Dep, HandlerResult, Infallible, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

#[handler]
async fn ping<T: Send + Sync + 'static>(_: Ping, dependency: Dep<T>) -> HandlerResult<(), Infallible> {
    drop(dependency);
    Ok(())
}

fn main() {}
