//! An event without a name.
use cqrs_core::Event;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(version = 1)]
enum Pinged {
    Once,
}

fn main() {}
