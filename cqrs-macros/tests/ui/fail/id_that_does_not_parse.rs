//! An aggregate whose id cannot be read back from its text.
use cqrs_core::{Aggregate, Event, Evolve};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;

#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct CounterId(u64);
impl std::fmt::Display for CounterId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "counter", event = Pinged)]
struct Counter {
    #[id]
    id: CounterId,
}
impl Evolve<Pinged> for Counter {
    fn create(id: CounterId, _: &Pinged) -> Option<Self> {
        Some(Counter { id })
    }
    fn apply(&mut self, _: &Pinged) {}
}

fn main() {}
