//! A change finds values by an index of its own view.
use cqrs_core::{Change, View};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, View)]
#[view(name = "ticket", key = u64)]
#[index(by_owner(owner))]
struct Ticket {
    owner: String,
}
#[derive(Debug, Clone, Serialize, Deserialize, View)]
#[view(name = "card", key = u64)]
struct Card {
    owner: String,
}

fn main() {
    let _: Change<Card> = Change::none().and_where(Ticket::by_owner().owner("kim"), |card: Card| Some(card));
}
