//! An index without columns.
use cqrs_core::View;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "offer", key = u64)]
#[index(all())]
struct Offer {
    price: u64,
}

fn main() {}
