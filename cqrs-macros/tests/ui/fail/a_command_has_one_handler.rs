//! Two handlers for one command.
use cqrs_core::{Command, Never, Result, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

#[handler]
async fn one(_: Ping) -> Result<(), Never> {
    Ok(())
}
#[handler]
async fn two(_: Ping) -> Result<(), Never> {
    Ok(())
}

fn main() {}
