//! A projection without a name.
use cqrs_core::{Change, Event, View, projection};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;
#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "ping-count", key = u64)]
struct PingCount;

#[projection]
fn ping_count(_: &Pinged) -> Change<PingCount> {
    Change::none()
}

fn main() {}
