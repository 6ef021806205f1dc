//! A stored name with a capital letter and a space.
use cqrs_core::Event;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "Pinged Now", version = 1)]
struct Pinged;

fn main() {}
