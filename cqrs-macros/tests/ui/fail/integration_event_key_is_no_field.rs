//! The key of an integration event is not one of its fields.
use cqrs_core::IntegrationEvent;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "order.placed", topic = "orders.v1", key = id)]
struct OrderPlaced {
    order: u64,
}

fn main() {}
