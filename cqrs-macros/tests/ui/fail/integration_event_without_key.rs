//! An integration event without a key, so that nothing keeps its order.
use cqrs_core::IntegrationEvent;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "order.placed", topic = "orders.v1")]
struct OrderPlaced {
    order: u64,
}

fn main() {}
