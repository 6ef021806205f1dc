//! A publisher that always tells.
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

#[publish]
fn pinged(_: &Pinged) -> Told {
    Told
}

fn main() {}
