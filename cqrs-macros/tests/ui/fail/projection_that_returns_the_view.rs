//! A projection that returns the view and not what becomes of it.
use cqrs_core::{Event, View, projection};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;
#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "card", key = u64)]
struct Card;

#[projection(name = "card")]
fn card(_: &Pinged) -> Card {
    Card
}

fn main() {}
