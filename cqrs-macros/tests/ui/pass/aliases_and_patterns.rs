//! Types behind an alias, patterns for parameters, an error of another type in a subscriber.
use cqrs_core::{Command, Event, Never, Recorded, handler, subscriber};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;

type Heard = Recorded<Pinged>;
type Answer<T> = cqrs_core::Result<T, Never>;

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping {
    times: u32,
}
#[handler]
async fn ping(Ping { mut times }: Ping) -> Answer<u32> {
    times += 1;
    Ok(times)
}
#[subscriber(group = "notes")]
async fn note(event: Heard) -> Result<(), std::num::ParseIntError> {
    "1".parse::<u32>().map(|_| drop(event))
}

fn main() {}
