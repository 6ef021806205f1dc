//! The `inventory` service: the stock of an item, with the goods that are reserved for orders.
use crate::{GoodsAnswered, GoodsNeeded};
use cqrs_core::{Aggregate, App, AppBuilder, BoxError, Command, Event, EventSourced, Evolve, HandlerResult};
use cqrs_core::{Infallible, Recorded, Repo, handler, publish, subscriber};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "stock", event = StockEvent)]
pub struct Stock {
    #[id]
    item: String,
    available: u64,
    reserved: BTreeMap<String, u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "stock", version = 1)]
pub enum StockEvent {
    Delivered { quantity: u32 },
    Reserved { order: String, quantity: u32 },
    SoldOut { order: String },
    Released { order: String },
}
use StockEvent::{Delivered, Released, Reserved, SoldOut};

impl Stock {
    /// Decides about the goods that an order needs. An order that needs none any more may never have got any.
    fn answer(&self, order: String, quantity: u32) -> Option<StockEvent> {
        match quantity {
            0 => self.reserved.contains_key(&order).then_some(Released { order }),
            _ if u64::from(quantity) > self.available => Some(SoldOut { order }),
            _ => Some(Reserved { order, quantity }),
        }
    }
}
impl Evolve<StockEvent> for Stock {
    fn create(item: String, event: &StockEvent) -> Option<Self> {
        let mut stock = Stock { item, available: 0, reserved: BTreeMap::new() };
        stock.apply(event);
        Some(stock)
    }
    fn apply(&mut self, event: &StockEvent) {
        match event {
            Delivered { quantity } => self.available += u64::from(*quantity),
            Reserved { order, quantity } => {
                self.available -= u64::from(*quantity);
                self.reserved.insert(order.clone(), *quantity);
            }
            SoldOut { .. } => (),
            Released { order } => self.available += self.reserved.remove(order).map_or(0, u64::from),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, Command)]
pub struct Deliver(pub String, pub u32);
#[handler]
async fn deliver(Deliver(item, quantity): Deliver, stocks: Repo<Stock>) -> HandlerResult<()> {
    match stocks.find(&item).await? {
        Some(_) => drop(stocks.update(&item, |_| Ok::<_, Infallible>(Delivered { quantity })).await?),
        None => drop(stocks.create(item, Delivered { quantity })?),
    }
    Ok(())
}

#[subscriber(group = "inventory.goods")]
async fn answer(needed: Recorded<GoodsNeeded>, stocks: Repo<Stock>) -> Result<(), BoxError> {
    let GoodsNeeded { order, item, quantity } = needed.event;
    match stocks.find(&item).await? {
        Some(_) => drop(stocks.update(&item, |stock| Ok::<_, Infallible>(stock.answer(order, quantity))).await?),
        None if quantity > 0 => drop(stocks.create(item, SoldOut { order })?),
        None => (),
    }
    Ok(())
}

#[publish]
fn answered(event: &Recorded<StockEvent>) -> Option<GoodsAnswered> {
    match &event.event {
        Reserved { order, .. } => Some(GoodsAnswered { order: order.clone(), are_reserved: true }),
        SoldOut { order } => Some(GoodsAnswered { order: order.clone(), are_reserved: false }),
        Delivered { .. } | Released { .. } => None,
    }
}

pub fn app() -> AppBuilder {
    App::builder("inventory").discover_part(module_path!()).aggregate(EventSourced::<Stock>::new())
}
