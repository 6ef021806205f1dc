//! The `orders` service: an order and its commands. The flow sends all but the first of them.
mod fulfilment;

pub use fulfilment::Fulfilment;

use crate::GoodsNeeded;
use cqrs_core::{Aggregate, App, AppBuilder, Command, DomainError, Event, EventSourced, Evolve, HandlerResult};
use cqrs_core::{History, Infallible, Query, Recorded, Repo, handler, publish};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "order", event = OrderEvent)]
pub struct Order {
    #[id]
    id: String,
    item: String,
    quantity: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "order", version = 1)]
pub enum OrderEvent {
    Placed { item: String, quantity: u32 },
    GoodsRequested { item: String, quantity: u32 },
    GoodsReturned { item: String },
    Confirmed,
    Rejected,
    Reminded,
}
use OrderEvent::{Confirmed, GoodsRequested, GoodsReturned, Placed, Rejected, Reminded};

impl Evolve<OrderEvent> for Order {
    fn create(id: String, event: &OrderEvent) -> Option<Self> {
        let Placed { item, quantity } = event else { return None };
        Some(Order { id, item: item.clone(), quantity: *quantity })
    }
    fn apply(&mut self, _: &OrderEvent) {}
}

#[derive(Debug, Clone, PartialEq, thiserror::Error, DomainError)]
#[kind(invalid)]
pub enum OrderError {
    #[error("an order needs a number, an item and a quantity")]
    Incomplete,
}

#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct PlaceOrder(pub String, pub String, pub u32);
#[handler]
async fn place(PlaceOrder(id, item, quantity): PlaceOrder, orders: Repo<Order>) -> HandlerResult<(), OrderError> {
    if id.is_empty() || item.is_empty() || quantity == 0 {
        return Err(OrderError::Incomplete.into());
    }
    orders.create(id, Placed { item, quantity })?;
    Ok(())
}

/// Defines a command of the flow with its handler, which appends one event.
macro_rules! step {
    ($command:ident, $function:ident, $decide:expr) => {
        #[derive(Debug, Clone, Serialize, Deserialize, Command)]
        pub struct $command(pub String);
        #[handler]
        async fn $function(command: $command, orders: Repo<Order>) -> HandlerResult<()> {
            let decide: fn(&Order) -> OrderEvent = $decide;
            orders.update(&command.0, |order| Ok::<_, Infallible>(decide(order))).await?;
            Ok(())
        }
    };
}
step!(RequestGoods, request, |order| GoodsRequested { item: order.item.clone(), quantity: order.quantity });
step!(ReturnGoods, give_back, |order| GoodsReturned { item: order.item.clone() });
step!(ConfirmOrder, confirm, |_| Confirmed);
step!(RejectOrder, reject, |_| Rejected);
step!(RemindBuyer, remind, |_| Reminded);

#[publish]
fn goods_needed(event: &Recorded<OrderEvent>) -> Option<GoodsNeeded> {
    let (item, quantity) = match &event.event {
        GoodsRequested { item, quantity } => (item.clone(), *quantity),
        GoodsReturned { item } => (item.clone(), 0),
        Placed { .. } | Confirmed | Rejected | Reminded => return None,
    };
    Some(GoodsNeeded { order: event.aggregate_id.clone(), item, quantity })
}

#[derive(Debug, Clone, Query)]
pub struct FindEvents(pub String);
#[handler]
async fn find_events(query: FindEvents, orders: History<Order>) -> HandlerResult<Vec<OrderEvent>> {
    let entries = orders.events(&query.0, 0, 10).await?;
    Ok(entries.iter().filter_map(|entry| Some(entry.event()?.event.clone())).collect())
}

pub fn app() -> AppBuilder {
    App::builder("orders").discover_part(module_path!()).aggregate(EventSourced::<Order>::new())
}
