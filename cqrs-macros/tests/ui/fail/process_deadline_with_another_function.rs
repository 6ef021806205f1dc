//! A deadline whose function takes no state.
use cqrs_core::{Process, Reaction};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Process)]
#[process(name = "purchase", version = 1)]
enum Purchase {
    #[deadline(secs = 5, then = give_up)]
    Paying,
}

fn give_up() -> Reaction<Purchase> {
    Reaction::end()
}

fn main() {}
