//! An unknown key in `#[stored(...)]`.
use cqrs_core::View;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "offer", key = u64)]
struct Offer {
    #[stored(accept(String))]
    opened: i64,
}

fn main() {}
