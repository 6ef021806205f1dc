//! A publisher that does not return an `Option`.
use cqrs_core::{Event, IntegrationEvent, publish};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "pinged.v1", topic = "pings.v1", key = number)]
struct PingAnnounced {
    number: u64,
}

#[publish]
fn pinged(_: &Pinged) -> PingAnnounced {
    PingAnnounced { number: 1 }
}

fn main() {}
