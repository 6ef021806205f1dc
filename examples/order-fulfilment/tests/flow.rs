//! The flow by itself, and both services, in virtual time.
use cqrs_core::{
    Error, Timestamp,
    testing::{ProcessTest, TestApp, VirtualTime, process_of},
};
use order_fulfilment::{
    GoodsAnswered,
    inventory::{self, Deliver},
    orders::{
        self, ConfirmOrder, FindEvents, Fulfilment, OrderError,
        OrderEvent::{self, Confirmed, GoodsRequested, GoodsReturned, Placed, Rejected, Reminded},
        PlaceOrder, RejectOrder, RemindBuyer, RequestGoods, ReturnGoods,
    },
};
use std::{sync::Arc, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

fn id() -> String {
    "7".into()
}
fn placed() -> ProcessTest<Fulfilment> {
    let placed = Placed { item: "book".into(), quantity: 2 };
    process_of::<Fulfilment>().when(id(), placed).then_sends(RequestGoods(id())).then_sends_nothing().and()
}

#[test]
fn an_order_is_confirmed_and_its_buyer_reminded_after_an_hour() {
    let confirmed = placed().when_message(&GoodsAnswered { order: id(), are_reserved: true });
    let confirmed = confirmed.then_sends(ConfirmOrder(id())).then_is("7", Fulfilment::Confirmed { order: id() });
    confirmed.and().when_time_passes(SECOND * 3_600).then_sends(RemindBuyer(id())).then_has_ended("7");
}
#[test]
fn an_order_is_rejected_when_the_goods_are_sold_out_or_after_five_seconds() {
    let sold_out = GoodsAnswered { order: id(), are_reserved: false };
    placed().when_message(&sold_out).then_sends(RejectOrder(id())).then_has_ended("7");
    let late = placed().when_time_passes(SECOND * 5).then_sends(ReturnGoods(id())).then_sends(RejectOrder(id()));
    late.then_has_ended("7").and().when_message(&sold_out).then_ignored();
}

async fn settled(orders: &TestApp, order: &str) -> Vec<OrderEvent> {
    orders.settle().await;
    orders.send(FindEvents(order.into())).await.unwrap()
}
#[tokio::test]
async fn both_services_run_the_flow() {
    let time = VirtualTime::new(Timestamp::UNIX_EPOCH);
    let apps = [orders::app(), inventory::app()].map(|app| app.environment(Arc::new(time.clone())));
    let [orders, inventory] = TestApp::start_all(apps).await.unwrap();
    inventory.send(Deliver("book".into(), 3)).await.unwrap();
    orders.send(PlaceOrder("1".into(), "book".into(), 2)).await.unwrap();
    assert!(matches!(settled(&orders, "1").await[..], [Placed { .. }, GoodsRequested { .. }, Confirmed]));
    orders.send(PlaceOrder("2".into(), "book".into(), 2)).await.unwrap();
    assert!(matches!(settled(&orders, "2").await[..], [Placed { .. }, GoodsRequested { .. }, Rejected]));
    time.advance(SECOND * 3_600);
    assert_eq!(settled(&orders, "1").await[2..], [Confirmed, Reminded]);
    let incomplete = orders.send(PlaceOrder("3".into(), "book".into(), 0)).await;
    assert!(matches!(incomplete, Err(Error::Domain(OrderError::Incomplete))));
}
#[tokio::test]
async fn an_order_is_rejected_while_the_inventory_is_down() {
    let time = VirtualTime::new(Timestamp::UNIX_EPOCH);
    let orders = TestApp::start(orders::app().environment(Arc::new(time.clone()))).await.unwrap();
    orders.send(PlaceOrder("1".into(), "book".into(), 2)).await.unwrap();
    orders.settle().await;
    time.advance(SECOND * 5);
    let goods_returned = GoodsReturned { item: "book".into() };
    assert_eq!(settled(&orders, "1").await[2..], [goods_returned, Rejected]);
}
