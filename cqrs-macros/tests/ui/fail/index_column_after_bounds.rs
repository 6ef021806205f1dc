//! Bounds end a range: the columns after them only order it.
use cqrs_core::View;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, View)]
#[view(name = "ticket", key = u64)]
#[index(by_owner(owner, opened))]
struct Ticket {
    owner: String,
    opened: i64,
}

fn main() {
    let _ = Ticket::by_owner().owner_in("a".."k").opened(7);
}
