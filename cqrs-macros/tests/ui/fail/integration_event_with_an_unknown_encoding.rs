//! An encoding that does not exist.
use cqrs_core::IntegrationEvent;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "order.placed", topic = "orders.v1", key = order, encoding = "avro")]
struct OrderPlaced {
    order: u64,
}

fn main() {}
