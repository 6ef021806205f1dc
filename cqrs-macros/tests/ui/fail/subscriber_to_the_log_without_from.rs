//! A subscriber to the service's own log that does not say with which event it begins.
use cqrs_core::{Aggregate, BoxError, Event, Evolve, Recorded, subscriber};
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

#[subscriber(group = "notes")]
async fn note(_: Recorded<Pinged>) -> Result<(), BoxError> {
    Ok(())
}

fn main() {}
