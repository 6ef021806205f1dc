//! An index over a field that the view does not have.
use cqrs_core::View;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "offer", key = u64)]
#[index(by_holder(holder))]
struct Offer {
    owner: String,
}

fn main() {}
