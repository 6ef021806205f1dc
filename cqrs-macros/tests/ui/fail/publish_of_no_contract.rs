//! A publisher that returns a type that is not an integration event.
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
