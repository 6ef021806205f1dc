//! A process whose state is a struct.
use cqrs_core::Process;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Process)]
#[process(name = "purchase", version = 1)]
struct Purchase {
    order: String,
}

fn main() {}
