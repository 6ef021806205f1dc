//! A command that cannot be decided twice.
use cqrs_core::{Command, Never, Result, handler};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Command)]
struct Ping;

#[handler]
async fn ping(_: Ping) -> Result<(), Never> {
    Ok(())
}

fn main() {}
