//! A chain of upcasters without the one of version 2.
use cqrs_core::{BoxError, Event, serde_json::Value};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 3, upcast(1 = same))]
enum Pinged {
    Once,
}

fn same(json: Value) -> Result<Value, BoxError> {
    Ok(json)
}

fn main() {}
