//! A subscriber that returns an `Option`.
use cqrs_core::{Event, Recorded, subscriber};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;

#[subscriber(group = "notes")]
async fn note(_: Recorded<Pinged>) -> Option<()> {
    None
}

fn main() {}
