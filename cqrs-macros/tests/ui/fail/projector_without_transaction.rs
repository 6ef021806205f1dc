//! A projector without a parameter for the transaction.
use cqrs_core::{Aggregate, BoxError, Event, Evolve, Recorded, projector};
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

#[projector(name = "ping-count")]
async fn ping_count(_: Recorded<Pinged>) -> Result<(), BoxError> {
    Ok(())
}

fn main() {}
