//! Bounds have the type of their column.
use cqrs_core::View;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, View)]
#[view(name = "ticket", key = u64)]
#[index(by_opened(opened))]
struct Ticket {
    opened: i64,
}

fn main() {
    let _ = Ticket::by_opened().opened_in("monday".."friday");
}
