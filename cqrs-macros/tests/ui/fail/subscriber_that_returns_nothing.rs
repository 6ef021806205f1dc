//! A subscriber without a return type.
use cqrs_core::{Event, Recorded, subscriber};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;

#[subscriber(group = "notes")]
async fn note(_: Recorded<Pinged>) {}

fn main() {}
