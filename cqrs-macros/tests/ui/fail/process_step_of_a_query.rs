//! A process that sends a query.
use cqrs_core::{HandlerResult, Process, Query, handler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Query)]
struct FindOrder;
#[handler]
async fn find_order(_: FindOrder) -> HandlerResult<()> {
    Ok(())
}

#[derive(Clone, Serialize, Deserialize, Process)]
#[process(name = "purchase", version = 1)]
#[step(FindOrder, irreversible)]
enum Purchase {
    #[waits_for_ever]
    Paying,
}

fn main() {}
