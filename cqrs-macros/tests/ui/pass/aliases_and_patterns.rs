//! Type aliases, patterns as parameters and an error of another type in a subscriber.
use cqrs_core::{Aggregate, Command, Event, Evolve, Infallible, Recorded, handler, subscriber};
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

type PingedRecord = Recorded<Pinged>;
type PingResult<T> = cqrs_core::HandlerResult<T, Infallible>;

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping {
    times: u32,
}
#[handler]
async fn ping(Ping { mut times }: Ping) -> PingResult<u32> {
    times += 1;
    Ok(times)
}
#[subscriber(group = "notes", from = "beginning")]
async fn note(event: PingedRecord) -> Result<(), std::num::ParseIntError> {
    "1".parse::<u32>().map(|_| drop(event))
}

fn main() {}
