//! The flow of an order: reserve the goods, confirm, remind the buyer; or give up after five seconds and return the goods.
use super::{ConfirmOrder, OrderEvent, RejectOrder, RemindBuyer, RequestGoods, ReturnGoods};
use crate::GoodsAnswered;
use cqrs_core::{Process, Reaction, Recorded, process};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Process)]
#[process(name = "orders.fulfilment", version = 1)]
#[step(RequestGoods, undone_by = ReturnGoods)]
#[step(ConfirmOrder, irreversible)]
#[step(RejectOrder, irreversible)]
#[step(RemindBuyer, irreversible)]
pub enum Fulfilment {
    #[deadline(secs = 5, then = give_up)]
    Reserving { order: String },
    #[deadline(secs = 3_600, then = remind)]
    Confirmed { order: String },
}
impl Fulfilment {
    fn order(self) -> String {
        let (Fulfilment::Reserving { order } | Fulfilment::Confirmed { order }) = self;
        order
    }
}

#[process(key = aggregate_id, unexpected = "starts", then = "Reserving", from = "beginning")]
fn placed(event: &Recorded<OrderEvent>) -> Reaction<Fulfilment> {
    let OrderEvent::Placed { .. } = event.event else { return Reaction::none() };
    let order = event.aggregate_id.clone();
    let (request, undo) = (RequestGoods(order.clone()), ReturnGoods(order.clone()));
    Reaction::to(Fulfilment::Reserving { order }).step(request, undo)
}

#[process(key = order, when = "Reserving", unexpected = "ignored", then = "Confirmed | end")]
fn answered(answer: &GoodsAnswered, state: Fulfilment) -> Reaction<Fulfilment> {
    let order = state.order();
    match answer.are_reserved {
        true => Reaction::to(Fulfilment::Confirmed { order: order.clone() }).send(ConfirmOrder(order)),
        false => Reaction::end().send(RejectOrder(order)),
    }
}

fn give_up(state: Fulfilment) -> Reaction<Fulfilment> {
    Reaction::end().compensate().send(RejectOrder(state.order()))
}
fn remind(state: Fulfilment) -> Reaction<Fulfilment> {
    Reaction::end().send(RemindBuyer(state.order()))
}
