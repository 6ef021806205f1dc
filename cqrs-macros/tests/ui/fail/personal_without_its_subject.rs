//! A personal field whose subject is no field beside it.
use cqrs_core::{Event, personal::Personal};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "registered", version = 1)]
struct Registered {
    user: u64,
    #[personal(subject = user_id)]
    email: Personal<String>,
}

fn main() {}
