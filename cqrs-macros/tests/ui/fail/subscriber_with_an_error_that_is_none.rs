//! A subscriber whose error type does not implement `std::error::Error`.
use cqrs_core::{IntegrationEvent, Recorded, subscriber};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "pinged", topic = "pings.v1", key = key)]
struct Pinged {
    key: String,
}

#[derive(Debug)]
struct PingError;

#[subscriber(group = "notes")]
async fn note(_: Recorded<Pinged>) -> Result<(), PingError> {
    Ok(())
}

fn main() {}
