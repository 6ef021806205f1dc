//! A view without a key type.
use cqrs_core::View;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "offer")]
struct Offer {
    owner: String,
}

fn main() {}
