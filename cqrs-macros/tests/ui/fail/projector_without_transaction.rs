//! A projector without a parameter for the transaction.
use cqrs_core::{BoxError, Event, Recorded, projector};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;

#[projector(name = "ping-count")]
async fn ping_count(_: Recorded<Pinged>) -> Result<(), BoxError> {
    Ok(())
}

fn main() {}
