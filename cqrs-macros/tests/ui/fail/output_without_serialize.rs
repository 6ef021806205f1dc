//! An answer that cannot be stored.
use cqrs_core::{Command, Never, Result, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

struct Pong;

#[handler]
async fn ping(_: Ping) -> Result<Pong, Never> {
    Ok(Pong)
}

fn main() {}
