//! An integration event with a JSON payload that serde cannot encode.
use cqrs_core::IntegrationEvent;

#[derive(Clone, IntegrationEvent)]
#[integration_event(name = "order.placed", topic = "orders.v1", key = order)]
struct OrderPlaced {
    order: u64,
}

fn main() {}
