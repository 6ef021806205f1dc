//! A range of an index that skips the first column.
use cqrs_core::{Range, View};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "offer", key = u64)]
#[index(by_owner(owner, price))]
struct Offer {
    owner: String,
    price: u64,
}

fn cheap() -> Range<Offer> {
    Offer::by_owner().price(1).into()
}

fn main() {}
