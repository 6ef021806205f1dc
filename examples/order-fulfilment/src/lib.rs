//! A flow over two services. The `orders` service places an order, asks the `inventory` service for the goods, rejects the
//! order if they are sold out or if there is no answer within five seconds, and reminds the buyer after an hour. The flow is
//! one file: `orders/fulfilment.rs`. This file has the events that the services exchange.
pub mod inventory;
pub mod orders;

use cqrs_core::IntegrationEvent;
use serde::{Deserialize, Serialize};

/// An order needs this number of goods, or none any more. The key is the item, so the inventory handles the events of an item
/// one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "com.example.orders.goods-needed.v1", topic = "orders.goods.v1", key = item)]
pub struct GoodsNeeded {
    pub order: String,
    pub item: String,
    pub quantity: u32,
}

/// The answer to an order that needs goods: they are reserved, or sold out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "com.example.inventory.goods-answered.v1", topic = "inventory.goods.v1", key = order)]
pub struct GoodsAnswered {
    pub order: String,
    pub are_reserved: bool,
}
