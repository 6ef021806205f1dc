//! An integration event without a name.
use cqrs_core::IntegrationEvent;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(topic = "orders.v1", key = order)]
struct OrderPlaced {
    order: u64,
}

fn main() {}
