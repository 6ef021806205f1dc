//! A state that may wait for ever, and has a deadline.
use cqrs_core::Process;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Process)]
#[process(name = "purchase", version = 1)]
enum Purchase {
    #[waits_for_ever]
    #[deadline(secs = 5, then = give_up)]
    Paying,
}

fn main() {}
