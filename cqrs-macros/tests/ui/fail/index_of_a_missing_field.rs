//! An index of a field that is not there.
use cqrs_core::View;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "card", key = u64)]
#[index(by_holder(holder))]
struct Card {
    owner: String,
}

fn main() {}
