//! An integration event that is an enum.
use cqrs_core::IntegrationEvent;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "order.placed", topic = "orders.v1", key = order)]
enum OrderEvent {
    Placed { order: u64 },
}

fn main() {}
