//! A subscriber whose error type does not implement `std::error::Error`.
use cqrs_core::{Event, Recorded, subscriber};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;

#[derive(Debug)]
struct PingError;

#[subscriber(group = "notes")]
async fn note(_: Recorded<Pinged>) -> Result<(), PingError> {
    Ok(())
}

fn main() {}
