//! A process whose state has no version.
use cqrs_core::Process;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Process)]
#[process(name = "purchase")]
enum Purchase {
    #[waits_for_ever]
    Paying,
}

fn main() {}
