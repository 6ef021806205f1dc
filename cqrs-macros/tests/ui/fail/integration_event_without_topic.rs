//! An integration event without a topic.
use cqrs_core::IntegrationEvent;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "order.placed", key = order)]
struct OrderPlaced {
    order: u64,
}

fn main() {}
