//! A subscriber that returns an `Option`.
use cqrs_core::{Aggregate, Event, Evolve, Recorded, subscriber};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;
#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "counter", event = Pinged)]
struct Counter {
    #[id]
    id: u64,
}
impl Evolve<Pinged> for Counter {
    fn create(id: u64, _: &Pinged) -> Option<Self> {
        Some(Counter { id })
    }
    fn apply(&mut self, _: &Pinged) {}
}

#[subscriber(group = "notes", from = "beginning")]
async fn note(_: Recorded<Pinged>) -> Option<()> {
    None
}

fn main() {}
