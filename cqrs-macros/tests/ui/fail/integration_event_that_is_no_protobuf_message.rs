//! An integration event with a protobuf payload that is not a message of prost.
use cqrs_core::IntegrationEvent;

#[derive(Clone, IntegrationEvent)]
#[integration_event(name = "order.placed", topic = "orders.v1", key = order, encoding = "protobuf")]
struct OrderPlaced {
    order: u64,
}

fn main() {}
