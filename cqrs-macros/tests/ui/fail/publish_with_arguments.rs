//! An argument of `#[publish]`, which takes none.
use cqrs_core::{BoxError, Event, IntegrationEvent, publish};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;

#[derive(Clone)]
struct PingAnnounced;
impl IntegrationEvent for PingAnnounced {
    const NAME: &'static str = "pinged.v1";
    const TOPIC: &'static str = "pings.v1";
    fn key(&self) -> String {
        "1".into()
    }
    fn encode(&self) -> Vec<u8> {
        vec![]
    }
    fn decode(_: &[u8]) -> Result<Self, BoxError> {
        Ok(PingAnnounced)
    }
}

#[publish(topic = "pings.v1")]
fn pinged(_: &Pinged) -> Option<PingAnnounced> {
    Some(PingAnnounced)
}

fn main() {}
