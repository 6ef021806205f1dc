//! A command that cannot be stored.
use cqrs_core::{Command, Never, Result, handler};

#[derive(Clone, Command)]
struct Ping;

#[handler]
async fn ping(_: Ping) -> Result<(), Never> {
    Ok(())
}

fn main() {}
