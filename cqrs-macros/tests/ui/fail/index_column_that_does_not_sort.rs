//! An index of a number that has no order.
use cqrs_core::View;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "card", key = u64)]
#[index(cheapest(+price))]
struct Card {
    price: f64,
}

fn main() {}
