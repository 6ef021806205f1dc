//! A projection that asks for more than its event.
use cqrs_core::{Change, Dep, Event, View, projection};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;
#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "card", key = u64)]
struct Card;

#[projection(name = "card")]
fn card(_: &Pinged, _: Dep<String>) -> Change<Card> {
    Change::none()
}

fn main() {}
