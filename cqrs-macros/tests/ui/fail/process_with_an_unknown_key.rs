//! A process with a consumer group: its name is its group.
use cqrs_core::Process;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Process)]
#[process(name = "purchase", version = 1, group = "purchases")]
enum Purchase {
    #[waits_for_ever]
    Paying,
}

fn main() {}
