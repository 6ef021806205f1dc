//! A port without its `Dep`.
use cqrs_core::{Command, Never, Result, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

trait Mailer: Send + Sync {}

#[handler]
async fn ping(_: Ping, mailer: std::sync::Arc<dyn Mailer>) -> Result<(), Never> {
    drop(mailer);
    Ok(())
}

fn main() {}
