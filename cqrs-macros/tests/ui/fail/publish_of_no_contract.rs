//! A publisher that tells what is no contract.
use cqrs_core::{Event, publish};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;

#[publish]
fn pinged(event: &Pinged) -> Option<Pinged> {
    Some(event.clone())
}

fn main() {}
