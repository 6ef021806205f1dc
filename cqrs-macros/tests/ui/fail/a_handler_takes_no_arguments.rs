//! An argument that the attribute does not know.
use cqrs_core::{Command, Never, Result, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

#[handler(retry = 3)]
async fn ping(_: Ping) -> Result<(), Never> {
    Ok(())
}

fn main() {}
