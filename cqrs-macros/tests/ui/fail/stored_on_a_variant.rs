//! `#[stored(...)]` on a variant: it belongs to the type or to a field.
use cqrs_core::Event;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 1)]
enum Pinged {
    #[stored(unchecked)]
    Once,
}

fn main() {}
