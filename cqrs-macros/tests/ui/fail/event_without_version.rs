//! An event without a version.
use cqrs_core::Event;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged")]
enum Pinged {
    Once,
}

fn main() {}
