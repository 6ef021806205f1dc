//! A handler parameter of type `Arc<dyn Mailer>` instead of `Dep<dyn Mailer>`.
use cqrs_core::{Command, HandlerResult, Infallible, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

trait Mailer: Send + Sync {}

#[handler]
async fn ping(_: Ping, mailer: std::sync::Arc<dyn Mailer>) -> HandlerResult<(), Infallible> {
    drop(mailer);
    Ok(())
}

fn main() {}
