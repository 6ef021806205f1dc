//! Commands to other services: sent with the commit, carried out once, and answered by an event.
use crate::{listener::lock, trials::trial};
use async_trait::async_trait;
use contract::{ReleaseGoods, ReserveGoods};
use cqrs_core::{
    App, AppBuilder, EventSourced, Fault, Position,
    process::Status,
    storage::{Batch, CommitError, Memory, ParkedPage, ReadLimit, Storage},
    testing::{StorageLayer, TestApp, process_of},
};
use libtest_mimic::Trial;
use shop::{Confirm, Order, OrderEvent, PlaceOrder, Purchase, Reject, Reorder};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use stock::{Stock, StockScript};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("remote: a process sends a command to another service, and the answer ends it", answered),
        trial("remote: a process without an answer undoes its steps at its deadline", unanswered),
        trial("remote: a handler sends a command with its commit, and not without", with_the_commit),
        trial("remote: a command whose message is handled again is carried out once", carried_out_once),
        trial("remote: seeded: without its idempotency key a command is carried out twice", seeded_key),
        trial("remote: a command that the domain refuses is done, and the later ones of its key follow", refused),
        trial("remote: a command that the receiver cannot map is parked, and nothing else", unmapped),
        trial("remote: commands of one key are carried out in order", ordered),
        trial("remote: a query that sends a command is found when the app is built", in_a_query),
    ]
}

/// The contracts between the two services.
mod contract {
    use cqrs_core::{IntegrationEvent, RemoteCommand};
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, RemoteCommand)]
    #[remote_command(name = "stock.reserve.v1", topic = "remote-stock.commands.v1", key = order)]
    pub(super) struct ReserveGoods {
        pub(super) order: String,
        pub(super) amount: u32,
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, RemoteCommand)]
    #[remote_command(name = "stock.release.v1", topic = "remote-stock.commands.v1", key = order)]
    pub(super) struct ReleaseGoods {
        pub(super) order: String,
    }
    /// The answer.
    #[derive(Debug, Clone, Serialize, Deserialize, IntegrationEvent)]
    #[integration_event(name = "stock.reserved.v1", topic = "remote-stock.events.v1", key = order)]
    pub(super) struct GoodsReserved {
        pub(super) order: String,
    }
}

/// The service that sends the commands.
mod shop {
    use super::contract::{GoodsReserved, ReleaseGoods, ReserveGoods};
    use cqrs_core::{
        Aggregate, Command, Event, Evolve, Fault, HandlerResult, Infallible, Process, Reaction, Recorded, Remote, Repo,
        handler, process,
    };
    use serde::{Deserialize, Serialize};

    pub(super) const MODULE: &str = module_path!();

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
    #[event(name = "order-of-remote", version = 1)]
    pub(super) enum OrderEvent {
        Placed,
        Confirmed,
        Rejected,
    }
    #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "order-of-remote", event = OrderEvent)]
    pub(super) struct Order {
        #[id]
        id: String,
    }
    impl Evolve<OrderEvent> for Order {
        fn create(id: String, _: &OrderEvent) -> Option<Self> {
            Some(Order { id })
        }
        fn apply(&mut self, _: &OrderEvent) {}
    }

    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(super) struct PlaceOrder {
        pub(super) order: String,
    }
    #[handler]
    async fn place_order(command: PlaceOrder, orders: Repo<Order>) -> HandlerResult<(), Infallible> {
        orders.create(command.order, OrderEvent::Placed)?;
        Ok(())
    }
    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(super) struct Confirm {
        pub(super) order: String,
    }
    #[handler]
    async fn confirm(command: Confirm, orders: Repo<Order>) -> HandlerResult<(), Infallible> {
        orders.update(&command.order, |_| Ok::<_, Infallible>(OrderEvent::Confirmed)).await?;
        Ok(())
    }
    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(super) struct Reject {
        pub(super) order: String,
    }
    #[handler]
    async fn reject(command: Reject, orders: Repo<Order>) -> HandlerResult<(), Infallible> {
        orders.update(&command.order, |_| Ok::<_, Infallible>(OrderEvent::Rejected)).await?;
        Ok(())
    }

    /// Reserves goods without a process, and waits for no answer.
    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(super) struct Reorder {
        pub(super) order: String,
        pub(super) amounts: Vec<u32>,
        pub(super) fails: bool,
    }
    #[handler]
    async fn reorder(command: Reorder, goods: Remote<ReserveGoods>) -> HandlerResult<(), Infallible> {
        for amount in command.amounts {
            goods.send(ReserveGoods { order: command.order.clone(), amount })?;
        }
        match command.fails {
            true => Err(Fault::internal("seeded: the handler fails").into()),
            false => Ok(()),
        }
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Process)]
    #[process(name = "remote.purchase", version = 1)]
    #[remote_step(ReserveGoods, undone_by = ReleaseGoods)]
    #[step(Confirm, irreversible)]
    #[step(Reject, irreversible)]
    pub(super) enum Purchase {
        #[deadline(secs = 5, then = timed_out)]
        Reserving { order: String },
    }
    #[process(key = aggregate_id, unexpected = "starts", then = "Reserving", from = "beginning")]
    fn placed(event: &Recorded<OrderEvent>) -> Reaction<Purchase> {
        let order = event.aggregate_id.clone();
        match event.event {
            OrderEvent::Placed => {
                let (reserve, release) =
                    (ReserveGoods { order: order.clone(), amount: 1 }, ReleaseGoods { order: order.clone() });
                Reaction::to(Purchase::Reserving { order }).remote_step(reserve, release)
            }
            OrderEvent::Confirmed | OrderEvent::Rejected => Reaction::none(),
        }
    }
    #[process(key = order, when = "Reserving", unexpected = "ignored", then = "end")]
    fn reserved(event: &GoodsReserved, _: Purchase) -> Reaction<Purchase> {
        Reaction::end().send(Confirm { order: event.order.clone() })
    }
    fn timed_out(state: Purchase) -> Reaction<Purchase> {
        let Purchase::Reserving { order } = state;
        Reaction::end().compensate().send(Reject { order })
    }
}

/// A query that sends a command, which is a mistake.
mod mistaken {
    use super::contract::ReserveGoods;
    use cqrs_core::{HandlerResult, Infallible, Query, Remote, handler};

    pub(super) const MODULE: &str = module_path!();

    #[derive(Clone, Query)]
    pub(super) struct CountGoods;
    #[handler]
    async fn count_goods(_: CountGoods, goods: Remote<ReserveGoods>) -> HandlerResult<u32, Infallible> {
        goods.send(ReserveGoods { order: "kim".into(), amount: 1 })?;
        Ok(1)
    }
}

/// The service that carries the commands out.
mod stock {
    use super::contract::{GoodsReserved, ReleaseGoods, ReserveGoods};
    use crate::listener::lock;
    use cqrs_core::{
        Aggregate, BoxError, Command, Dep, DomainError, Event, Evolve, HandlerResult, Infallible, Metadata, Recorded,
        Repo, handler, publish, receive,
    };
    use serde::{Deserialize, Serialize};
    use std::sync::Mutex;

    pub(super) const MODULE: &str = module_path!();

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
    #[event(name = "stock-of-remote", version = 1)]
    pub(super) enum StockEvent {
        Reserved { amount: u32 },
        Released,
    }
    #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "stock-of-remote", event = StockEvent)]
    pub(super) struct Stock {
        #[id]
        id: String,
    }
    impl Evolve<StockEvent> for Stock {
        fn create(id: String, _: &StockEvent) -> Option<Self> {
            Some(Stock { id })
        }
        fn apply(&mut self, _: &StockEvent) {}
    }
    #[publish]
    fn reserved(event: &Recorded<StockEvent>) -> Option<GoodsReserved> {
        match event.event {
            StockEvent::Reserved { .. } => Some(GoodsReserved { order: event.aggregate_id.clone() }),
            StockEvent::Released => None,
        }
    }

    /// The reservations that were decided, and the idempotency keys of their commands.
    #[derive(Debug, Default)]
    pub(super) struct StockScript {
        pub(super) keys: Mutex<Vec<String>>,
    }
    #[derive(Debug, thiserror::Error, DomainError)]
    pub(super) enum StockError {
        #[error("the goods are sold out")]
        #[kind(precondition)]
        SoldOut,
    }

    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(super) struct Reserve {
        order: String,
        amount: u32,
    }
    #[receive(group = "remote-stock.commands")]
    fn reserve_goods(command: ReserveGoods) -> Result<Reserve, BoxError> {
        match command.amount {
            0 => Err("nothing to reserve".into()),
            amount => Ok(Reserve { order: command.order, amount }),
        }
    }
    #[handler]
    async fn reserve(
        command: Reserve,
        stocks: Repo<Stock>,
        script: Dep<StockScript>,
        metadata: Metadata,
    ) -> HandlerResult<(), StockError> {
        if command.amount > 100 {
            return Err(StockError::SoldOut.into());
        }
        lock(&script.keys).extend(metadata.key);
        let event = StockEvent::Reserved { amount: command.amount };
        match stocks.find(&command.order).await? {
            Some(_) => drop(stocks.update(&command.order, |_| Ok::<_, StockError>(event)).await?),
            None => drop(stocks.create(command.order, event)?),
        }
        Ok(())
    }
    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(super) struct Release {
        order: String,
    }
    #[receive(group = "remote-stock.commands")]
    fn release_goods(command: ReleaseGoods) -> Result<Release, BoxError> {
        Ok(Release { order: command.order })
    }
    #[handler]
    async fn release(command: Release, stocks: Repo<Stock>) -> HandlerResult<(), Infallible> {
        // The goods may never have been reserved.
        if stocks.find(&command.order).await?.is_some() {
            stocks.update(&command.order, |_| Ok::<_, Infallible>(StockEvent::Released)).await?;
        }
        Ok(())
    }
}

fn order(id: &str) -> String {
    id.to_owned()
}
fn shop(storage: impl Storage) -> AppBuilder {
    App::builder("shop").discover_part(shop::MODULE).aggregate(EventSourced::<Order>::new()).storage(storage)
}
fn stock(storage: impl Storage, script: &Arc<StockScript>) -> AppBuilder {
    let app = App::builder("stock").discover_part(stock::MODULE).aggregate(EventSourced::<Stock>::new());
    app.provide(script.clone()).storage(storage)
}
/// Returns the names of the events in a log whose names begin so, in order.
async fn events(memory: &Memory, prefix: &str) -> Vec<String> {
    let log = memory.log(Position(0), Position(u64::MAX), ReadLimit::entries(999)).await.expect("the log is read");
    log.into_iter().map(|entry| entry.name).filter(|name| name.starts_with(prefix)).collect()
}

async fn answered() {
    let (memory, other, script) = (Memory::new(), Memory::new(), Arc::<StockScript>::default());
    let apps = [shop(memory.clone()), stock(other.clone(), &script)];
    let [shop, stock] = TestApp::start_all(apps).await.expect("the apps start");
    shop.send(PlaceOrder { order: order("kim") }).await.expect("the order is placed");
    shop.settle().await;
    assert_eq!(events(&other, "stock-").await, ["stock-of-remote.reserved"]);
    assert_eq!(events(&memory, "order-").await, ["order-of-remote.placed", "order-of-remote.confirmed"]);
    let instances = shop.processes().list("remote.purchase", None, 9).await.expect("instances are read");
    assert_eq!(instances.iter().map(|instance| instance.status).collect::<Vec<_>>(), [Status::Ended]);
    // The command is a row of the log, and its id is the idempotency key that the handler finds and can pass on in a header.
    let log = memory.log(Position(0), Position(u64::MAX), ReadLimit::entries(999)).await.expect("the log is read");
    let sent: Vec<_> = log.iter().filter(|entry| entry.name == "command.sent").collect();
    assert_eq!(sent.len(), 1, "{log:?}");
    assert_eq!(sent[0].outgoing.as_ref().map(|message| &*message.topic), Some("remote-stock.commands.v1"));
    assert_eq!(*lock(&script.keys), [format!("remote/{}", sent[0].id)]);
    // Both services are one flow.
    let theirs = other.log(Position(0), Position(u64::MAX), ReadLimit::entries(9)).await.expect("the log is read");
    assert_eq!(theirs[0].metadata.correlation, sent[0].metadata.correlation);
    assert_eq!(theirs[0].metadata.causation, Some(sent[0].id));
    assert!(shop.stop().await && stock.stop().await);
}

async fn unanswered() {
    let reserve = || ReserveGoods { order: order("kim"), amount: 1 };
    process_of::<Purchase>()
        .when(order("kim"), OrderEvent::Placed)
        .then_sends_remote(reserve())
        .then_sends_nothing()
        .then_is("kim", Purchase::Reserving { order: order("kim") })
        .and()
        .when_time_passes(Duration::from_secs(5))
        .then_sends_remote(ReleaseGoods { order: order("kim") })
        .then_sends(Reject { order: order("kim") })
        .then_sends_nothing()
        .then_has_ended("kim");
    process_of::<Purchase>()
        .given(order("kim"), OrderEvent::Placed)
        .when_message(&contract::GoodsReserved { order: order("kim") })
        .then_sends(Confirm { order: order("kim") })
        .then_sends_nothing()
        .then_has_ended("kim")
        .and()
        .when_time_passes(Duration::from_secs(5))
        .then_sends_nothing();
    // An answer that comes too late changes nothing.
    process_of::<Purchase>()
        .given(order("kim"), OrderEvent::Placed)
        .given_time(Duration::from_secs(5))
        .when_message(&contract::GoodsReserved { order: order("kim") })
        .then_ignored();
}

async fn with_the_commit() {
    let memory = Memory::new();
    let shop = shop(memory.clone()).build().expect("the app builds");
    shop.migrate().await.expect("the app declares itself");
    let reorder = |fails| Reorder { order: order("kim"), amounts: vec![1], fails };
    shop.send(reorder(true)).await.expect_err("the handler fails");
    assert!(events(&memory, "command.").await.is_empty(), "a command was sent without the commit");
    shop.send(reorder(false)).await.expect("the handler commits");
    assert_eq!(events(&memory, "command.").await, ["command.sent"]);
}

/// Loses the first inbox record of the group, so that a message is handled twice.
struct Forgetful {
    memory: Memory,
    has_forgotten: AtomicBool,
    /// Forgets the responses of commands as well.
    forgets_keys: bool,
}
#[async_trait]
impl StorageLayer for Forgetful {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        let is_inbox = batch.inbox_records.iter().any(|record| record.group == "remote-stock.commands");
        if is_inbox && !self.has_forgotten.swap(true, Ordering::SeqCst) {
            return Err(CommitError::Fault(Fault::unavailable("seeded: the database is down")));
        }
        if self.forgets_keys {
            batch.response = None;
        }
        self.memory.commit(batch).await
    }
}
/// Returns the events of the stock after a message whose handling was lost after its command.
async fn handled_again(forgets_keys: bool) -> Vec<String> {
    let (memory, script) = (Memory::new(), Arc::<StockScript>::default());
    let storage = Forgetful { memory: memory.clone(), has_forgotten: AtomicBool::new(false), forgets_keys };
    let apps = [shop(Memory::new()), stock(storage, &script)];
    let [shop, stock] = TestApp::start_all(apps).await.expect("the apps start");
    shop.send(Reorder { order: order("kim"), amounts: vec![1], fails: false }).await.expect("it is sent");
    shop.settle().await;
    assert!(shop.stop().await && stock.stop().await);
    events(&memory, "stock-").await
}
async fn carried_out_once() {
    assert_eq!(handled_again(false).await, ["stock-of-remote.reserved"]);
}
async fn seeded_key() {
    assert_eq!(handled_again(true).await.len(), 2, "the seeded bug makes no difference");
}

/// Sends reservations of these amounts for one order, and returns the amounts that were reserved and the parked keys.
async fn reserved(amounts: &[u32]) -> (Vec<u32>, Vec<String>) {
    let (memory, script) = (Memory::new(), Arc::<StockScript>::default());
    let apps = [shop(Memory::new()), stock(memory.clone(), &script)];
    let [shop, stock] = TestApp::start_all(apps).await.expect("the apps start");
    let amounts = amounts.to_vec();
    shop.send(Reorder { order: order("kim"), amounts, fails: false }).await.expect("the commands are sent");
    shop.send(Reorder { order: order("lee"), amounts: vec![9], fails: false }).await.expect("the command is sent");
    shop.settle().await;
    let log = memory.log(Position(0), Position(u64::MAX), ReadLimit::entries(999)).await.expect("the log is read");
    let of_kim = log.iter().filter(|entry| entry.stream.ends_with("kim"));
    let amount = |payload: &[u8]| {
        let json: cqrs_core::serde_json::Value = cqrs_core::serde_json::from_slice(payload).expect("it is JSON");
        json["Reserved"]["amount"].as_u64().expect("it has an amount") as u32
    };
    let amounts = of_kim.map(|entry| amount(&entry.payload)).collect();
    assert!(log.iter().any(|entry| entry.stream.ends_with("lee")), "the other key waits");
    let parked = memory.parked_keys(&ParkedPage::default()).await.expect("parked keys are read");
    assert!(shop.stop().await && stock.stop().await);
    (amounts, parked.into_iter().map(|key| key.key).collect())
}
async fn refused() {
    let (reserved, parked) = reserved(&[1, 200, 3]).await;
    assert_eq!(reserved, [1, 3]);
    assert!(parked.is_empty(), "{parked:?}");
}
async fn unmapped() {
    let (reserved, parked) = reserved(&[1, 0, 3]).await;
    assert_eq!(reserved, [1], "a later command of the key went on");
    assert_eq!(parked.len(), 1, "{parked:?}");
}
async fn ordered() {
    let amounts: Vec<u32> = (1..=30).collect();
    assert_eq!(reserved(&amounts).await.0, amounts);
}

async fn in_a_query() {
    let _ = mistaken::CountGoods;
    let app = App::builder("shop").discover_part(mistaken::MODULE).build();
    let problems = app.expect_err("a query has no unit of work").problems;
    let found = problems.iter().filter(|problem| problem.contains("CountGoods needs a unit of work"));
    assert_eq!(found.count(), 1, "{problems:?}");
}
