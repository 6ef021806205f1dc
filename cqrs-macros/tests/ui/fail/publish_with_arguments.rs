//! A publisher with a topic of its own.
use cqrs_core::{BoxError, Contract, Event, publish};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;

#[derive(Clone)]
struct Told;
impl Contract for Told {
    const NAME: &'static str = "pinged.v1";
    const TOPIC: &'static str = "pings.v1";
    fn key(&self) -> String {
        "1".into()
    }
    fn encode(&self) -> Vec<u8> {
        vec![]
    }
    fn decode(_: &[u8]) -> Result<Self, BoxError> {
        Ok(Told)
    }
}

#[publish(topic = "pings.v1")]
fn pinged(_: &Pinged) -> Option<Told> {
    Some(Told)
}

fn main() {}
