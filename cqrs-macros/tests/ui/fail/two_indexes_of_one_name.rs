//! Two indexes with the same name.
use cqrs_core::View;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "offer", key = u64)]
#[index(by_owner(owner))]
#[index(by_owner(price))]
struct Offer {
    owner: String,
    price: u64,
}

fn main() {}
