//! A projector without the transaction.
use cqrs_core::{BoxError, Event, Recorded, projector};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;

#[projector(name = "card")]
async fn card(_: Recorded<Pinged>) -> Result<(), BoxError> {
    Ok(())
}

fn main() {}
