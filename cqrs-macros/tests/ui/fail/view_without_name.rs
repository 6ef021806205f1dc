//! A view that is stored under no name.
use cqrs_core::View;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, View)]
#[view(key = u64)]
struct Card {
    owner: String,
}

fn main() {}
