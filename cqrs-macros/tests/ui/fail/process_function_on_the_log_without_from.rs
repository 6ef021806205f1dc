//! A function of a process on the own log that does not choose its first event.
use cqrs_core::{Aggregate, Event, Evolve, Process, Reaction, Recorded, process};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "placed", version = 1)]
struct Placed;
#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "order", event = Placed)]
struct Order {
    #[id]
    id: String,
}
impl Evolve<Placed> for Order {
    fn create(id: String, _: &Placed) -> Option<Self> {
        Some(Order { id })
    }
    fn apply(&mut self, _: &Placed) {}
}

#[derive(Clone, Serialize, Deserialize, Process)]
#[process(name = "purchase", version = 1)]
enum Purchase {
    #[waits_for_ever]
    Paying,
}

#[process(key = aggregate_id, unexpected = "starts", then = "Paying")]
fn placed(_: &Recorded<Placed>) -> Reaction<Purchase> {
    Reaction::to(Purchase::Paying)
}

fn main() {}
