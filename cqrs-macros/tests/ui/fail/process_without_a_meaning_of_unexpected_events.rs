//! A function of a process that does not say what an event for no instance means.
use cqrs_core::{Aggregate, Event, Evolve, Process, Reaction, Recorded, process};
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
#[derive(Clone, Serialize, Deserialize, Process)]
#[process(name = "ping.counted", version = 1)]
enum Counted {
    #[waits_for_ever]
    Once,
}

#[process(key = aggregate_id, then = "Once", from = "beginning")]
fn pinged(_: &Recorded<Pinged>) -> Reaction<Counted> {
    Reaction::to(Counted::Once)
}

fn main() {}
