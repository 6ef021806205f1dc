//! An event that cannot be stored.
use cqrs_core::Event;

#[derive(Clone, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;

fn main() {}
