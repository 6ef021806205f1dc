//! A parameter that nothing can provide.
use cqrs_core::{Command, Never, Result, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

#[handler]
async fn ping(_: Ping, greeting: String) -> Result<(), Never> {
    drop(greeting);
    Ok(())
}

fn main() {}
