//! An event that does not derive `Serialize` and `Deserialize`.
use cqrs_core::Event;

#[derive(Clone, Event)]
#[event(name = "pinged", version = 1)]
struct Pinged;

fn main() {}
