//! A step that does not say what undoes it.
use cqrs_core::{Command, HandlerResult, Process, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ship;
#[handler]
async fn ship(_: Ship) -> HandlerResult<()> {
    Ok(())
}

#[derive(Clone, Serialize, Deserialize, Process)]
#[process(name = "purchase", version = 1)]
#[step(Ship)]
enum Purchase {
    #[waits_for_ever]
    Paying,
}

fn main() {}
