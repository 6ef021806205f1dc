//! Two indexes that are stored under one name.
use cqrs_core::View;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "card", key = u64)]
#[index(by_owner(owner))]
#[index(by_owner(price))]
struct Card {
    owner: String,
    price: u64,
}

fn main() {}
