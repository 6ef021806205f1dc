//! An aggregate with two fields `#[id]`.
use cqrs_core::{Aggregate, Event, Evolve};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;

#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "counter", event = Pinged)]
struct Counter {
    #[id]
    id: u64,
    #[id]
    count: u64,
}
impl Evolve<Pinged> for Counter {
    fn create(id: u64, _: &Pinged) -> Option<Self> {
        Some(Counter { id, count: 1 })
    }
    fn apply(&mut self, _: &Pinged) {
        self.count += 1;
    }
}

fn main() {}
