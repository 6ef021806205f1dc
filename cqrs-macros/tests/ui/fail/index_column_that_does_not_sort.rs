//! An index over a column of a type without a total order.
use cqrs_core::View;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "offer", key = u64)]
#[index(cheapest(price))]
struct Offer {
    price: Vec<f64>,
}

fn main() {}
