//! A subscriber that takes the event without `Recorded`.
use cqrs_core::{BoxError, Event, subscriber};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;

#[subscriber(group = "notes")]
async fn note(_: Pinged) -> Result<(), BoxError> {
    Ok(())
}

fn main() {}
