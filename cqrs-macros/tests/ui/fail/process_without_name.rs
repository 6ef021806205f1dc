//! A process without a name.
use cqrs_core::Process;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Process)]
#[process(version = 1)]
enum Purchase {
    #[waits_for_ever]
    Paying,
}

fn main() {}
