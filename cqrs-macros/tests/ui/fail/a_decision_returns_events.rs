//! A decision that returns a number instead of events.
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

#[derive(Clone, Serialize, Deserialize, cqrs_core::Command)]
struct Ping(u64);

#[cqrs_core::handler]
async fn ping(command: Ping, counters: cqrs_core::Repo<Counter>) -> cqrs_core::HandlerResult<(), cqrs_core::Infallible> {
    counters.update(&command.0, |counter| Ok(counter.count + 1)).await?;
    Ok(())
}

fn main() {}
