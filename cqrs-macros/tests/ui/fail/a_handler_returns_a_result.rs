//! A handler without a return type.
use cqrs_core::{Command, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

#[handler]
async fn ping(_: Ping) {}

fn main() {}
