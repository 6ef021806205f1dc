//! A view that is found under nothing.
use cqrs_core::View;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "card")]
struct Card {
    owner: String,
}

fn main() {}
