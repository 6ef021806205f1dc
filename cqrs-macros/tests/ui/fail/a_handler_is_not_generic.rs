//! A handler of any type.
use cqrs_core::{Command, Dep, Never, Result, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

#[handler]
async fn ping<T: Send + Sync + 'static>(_: Ping, it: Dep<T>) -> Result<(), Never> {
    drop(it);
    Ok(())
}

fn main() {}
