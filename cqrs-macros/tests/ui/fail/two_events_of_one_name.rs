//! Two variants with the same stored name.
use cqrs_core::Event;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
enum Pinged {
    Once,
    #[event(name = "pinged.once")]
    Twice,
}

fn main() {}
