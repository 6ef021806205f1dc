//! A deadline that does not say what happens then.
use cqrs_core::Process;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Process)]
#[process(name = "purchase", version = 1)]
enum Purchase {
    #[deadline(secs = 5)]
    Paying,
}

fn main() {}
