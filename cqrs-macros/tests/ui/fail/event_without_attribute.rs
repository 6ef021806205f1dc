//! An event without the attribute `#[event(...)]`.
use cqrs_core::Event;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
enum Pinged {
    Once,
}

fn main() {}
