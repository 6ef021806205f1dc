//! A projection without a return type.
use cqrs_core::{Event, View, projection};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;
#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "ping-count", key = u64)]
struct PingCount;

#[projection(name = "ping-count")]
fn ping_count(_: &Pinged) {}

fn main() {}
