//! A decision that cannot be refused returns its event without a `Result`.
use cqrs_core::{Aggregate, Command, Event, Evolve, HandlerResult, Repo, handler};
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
impl Counter {
    fn ping(&self) -> Pinged {
        Pinged
    }
}

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping(u64);

#[handler]
async fn ping(command: Ping, counters: Repo<Counter>) -> HandlerResult<()> {
    counters.update(&command.0, |counter| counter.ping()).await?;
    Ok(())
}

fn main() {}
