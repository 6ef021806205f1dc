//! An unknown key in `#[event(...)]`.
use cqrs_core::Event;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1, topic = "pings")]
enum Pinged {
    Once,
}

fn main() {}
