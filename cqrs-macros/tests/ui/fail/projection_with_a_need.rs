//! A projection with a second parameter.
use cqrs_core::{Change, Dep, Event, View, projection};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;
#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "ping-count", key = u64)]
struct PingCount;

#[projection(name = "ping-count")]
fn ping_count(_: &Pinged, _: Dep<String>) -> Change<PingCount> {
    Change::none()
}

fn main() {}
