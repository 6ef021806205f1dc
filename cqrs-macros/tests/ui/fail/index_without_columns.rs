//! An index of nothing.
use cqrs_core::View;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "card", key = u64)]
#[index(all())]
struct Card {
    price: u64,
}

fn main() {}
