//! A view without a name.
use cqrs_core::View;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, View)]
#[view(key = u64)]
struct Offer {
    owner: String,
}

fn main() {}
