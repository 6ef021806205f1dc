//! An upcaster of a version that is not below the current one.
use cqrs_core::{BoxError, Event, serde_json::Value};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "pinged", version = 2, upcast(1 = same, 2 = same))]
enum Pinged {
    Once,
}

fn same(json: Value) -> Result<Value, BoxError> {
    Ok(json)
}

fn main() {}
