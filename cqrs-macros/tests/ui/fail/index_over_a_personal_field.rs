//! An index whose column is personal.
use cqrs_core::{View, personal::Personal};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, View)]
#[view(name = "card", key = u64)]
#[index(by_email(email))]
struct Card {
    id: u64,
    #[personal(subject = id)]
    email: Personal<String>,
}

fn main() {}
