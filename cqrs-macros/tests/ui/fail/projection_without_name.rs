//! A projection whose position is stored under no name.
use cqrs_core::{Change, Event, View, projection};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;
#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "card", key = u64)]
struct Card;

#[projection]
fn card(_: &Pinged) -> Change<Card> {
    Change::none()
}

fn main() {}
