//! A state that does not say how long the process may be in it.
use cqrs_core::Process;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Process)]
#[process(name = "purchase", version = 1)]
enum Purchase {
    Paying,
}

fn main() {}
