//! Something that stays on one thread, held across an await.
use cqrs_core::{Command, Never, Result, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping;

#[handler]
async fn ping(_: Ping) -> Result<(), Never> {
    let count = std::rc::Rc::new(1);
    std::future::ready(()).await;
    drop(count);
    Ok(())
}

fn main() {}
