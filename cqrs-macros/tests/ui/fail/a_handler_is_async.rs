//! A handler that is a plain function.
use cqrs_core::{Command, Never, Result, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

#[handler]
fn ping(_: Ping) -> Result<(), Never> {
    Ok(())
}

fn main() {}
