//! A subscriber that takes the event without `Recorded`.
use cqrs_core::{Aggregate, BoxError, Event, Evolve, subscriber};
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
async fn note(_: Pinged) -> Result<(), BoxError> {
    Ok(())
}

fn main() {}
