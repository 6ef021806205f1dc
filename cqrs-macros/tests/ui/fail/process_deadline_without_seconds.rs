//! A deadline without its time.
use cqrs_core::{Process, Reaction};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Process)]
#[process(name = "purchase", version = 1)]
enum Purchase {
    #[deadline(then = give_up)]
    Paying,
}

fn give_up(_: Purchase) -> Reaction<Purchase> {
    Reaction::end()
}

fn main() {}
