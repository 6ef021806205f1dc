//! An argument of `#[publish]`, which takes none.
use cqrs_core::{Aggregate, Event, Evolve, IntegrationEvent, publish};
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

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "pinged.v1", topic = "pings.v1", key = number)]
struct PingAnnounced {
    number: u64,
}

#[publish(topic = "pings.v1")]
fn pinged(_: &Pinged) -> Option<PingAnnounced> {
    Some(PingAnnounced { number: 1 })
}

fn main() {}
