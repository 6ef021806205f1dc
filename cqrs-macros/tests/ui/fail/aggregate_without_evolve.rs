//! An aggregate that does not implement `Evolve`.
use cqrs_core::{Aggregate, Event};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;

#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "counter", event = Pinged)]
struct Counter {
    #[id]
    id: u64,
    count: u64,
}

fn main() {}
