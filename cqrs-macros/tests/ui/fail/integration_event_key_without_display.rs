//! The key of an integration event has no text form.
use cqrs_core::IntegrationEvent;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "order.placed", topic = "orders.v1", key = order)]
struct OrderPlaced {
    order: Vec<u8>,
}

fn main() {}
