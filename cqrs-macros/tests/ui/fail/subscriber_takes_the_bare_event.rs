//! A subscriber without what is known of its event.
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
