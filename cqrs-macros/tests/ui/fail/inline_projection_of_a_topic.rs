//! An inline projection of the events of another service.
use cqrs_core::{Change, IntegrationEvent, View, projection};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "pinged.v1", topic = "pings.v1", key = number)]
struct PingAnnounced {
    number: u64,
}

#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "ping", key = u64)]
struct Ping;

#[projection(name = "ping", inline)]
fn ping(event: &PingAnnounced) -> Change<Ping> {
    Ping.put(event.number)
}

fn main() {}
