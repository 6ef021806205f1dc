//! A subscriber of an event that no aggregate names.
use cqrs_core::{BoxError, Event, Recorded, subscriber};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;

#[subscriber(group = "notes", from = "beginning")]
async fn note(_: Recorded<Pinged>) -> Result<(), BoxError> {
    Ok(())
}

fn main() {}
