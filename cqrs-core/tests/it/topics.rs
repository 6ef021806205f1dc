//! Topics that were deleted and created again, and records that a broker drops before they are read.
use crate::{
    bank::{Account, BANK, PaymentMade, until},
    listener::{LISTENER, Script, lock, received, record},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, Change, Fault, IntegrationEvent, StateStored, View, projection,
    storage::{Memory, Storage},
    testing::{StorageLayer, TestApp},
    transport::{
        Audience, Drained, Partition, Published, Received, Record, Signal, Subscription, Transport, TransportError,
    },
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::{
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Semaphore, mpsc};
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("topics: a group leaves a topic that was created again, and reads it once it is accepted", group),
        trial("topics: a group without records leaves a topic that was created again", quiet),
        trial("topics: messages go on while topics are compared, since they may hold every connection", narrow),
        trial("topics: a projection reads a topic that was created again from its beginning, once accepted", view),
        trial("topics: records that were dropped before they were read are reported until they are accepted", lost),
        trial("topics: a topic that does not exist yet is reported until its owner creates it, and then read", missing),
        trial("topics: a service creates the topics that it publishes to and no others", owned),
        trial("topics: only a topic that the service reads can be accepted", unknown),
    ]
}

/// A broker with one topic, which a test can replace by another one of the same name.
#[derive(Clone, Default)]
struct Replaceable(Arc<Mutex<State>>);
#[derive(Default)]
struct State {
    identity: String,
    /// The signals of the last subscription.
    signals: Option<mpsc::UnboundedSender<Signal>>,
    acknowledged: Vec<u64>,
    sought: Vec<u64>,
    rewound: Vec<String>,
    /// Set while the topic does not exist.
    missing: bool,
    /// The topics that were to be created.
    ensured: Vec<String>,
}
impl Replaceable {
    fn is(&self, identity: &str) {
        lock(&self.0).identity = identity.to_owned();
    }
    /// Returns whether the member of the group has left.
    fn is_empty(&self) -> bool {
        lock(&self.0).signals.as_ref().is_none_or(mpsc::UnboundedSender::is_closed)
    }
    fn emit(&self, signal: Signal) {
        assert!(self.try_emit(signal), "the member has left");
    }
    /// Sends a signal to the member and returns whether it has not left.
    fn try_emit(&self, signal: Signal) -> bool {
        lock(&self.0).signals.as_ref().expect("there was a member").send(signal).is_ok()
    }
    /// Sends payments of 1 at these offsets. The id of each is its offset and this number.
    fn send(&self, offsets: Range<u64>, ids: u128) {
        self.emit(Signal::Records(offsets.map(|offset| payment(offset, ids + u128::from(offset))).collect()));
    }
}
#[async_trait]
impl Transport for Replaceable {
    async fn ensure_topics(&self, topics: &[&str]) -> Result<(), TransportError> {
        lock(&self.0).ensured.extend(topics.iter().map(|&topic| topic.to_owned()));
        Ok(())
    }
    async fn missing_topics(&self, topics: &[&str]) -> Result<Vec<String>, TransportError> {
        let missing = lock(&self.0).missing;
        Ok(topics.iter().filter(|_| missing).map(|&topic| topic.to_owned()).collect())
    }
    fn audiences(&self, _: &[&str]) -> Vec<Audience> {
        Vec::new()
    }
    async fn publish(&self, _: &Audience, _: &[Record]) -> Published {
        Published { acknowledged: 0, error: None }
    }
    async fn subscribe(&self, _: &str, _: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        let (sender, signals) = mpsc::unbounded_channel();
        lock(&self.0).signals = Some(sender);
        Ok(Box::new(Member { signals, broker: self.clone() }))
    }
    async fn topic_identities(&self, topics: &[&str]) -> Result<Vec<Option<String>>, TransportError> {
        // An old broker gives no identity.
        let state = lock(&self.0);
        let identity = Some(state.identity.clone()).filter(|identity| !identity.is_empty() && !state.missing);
        Ok(topics.iter().map(|_| identity.clone()).collect())
    }
    async fn rewind(&self, group: &str, _: &str) -> Result<(), TransportError> {
        if !self.is_empty() {
            return Err(TransportError::transient("the group has a member"));
        }
        lock(&self.0).rewound.push(group.to_owned());
        Ok(())
    }
}
struct Member {
    signals: mpsc::UnboundedReceiver<Signal>,
    broker: Replaceable,
}
#[async_trait]
impl Subscription for Member {
    async fn next(&mut self) -> Result<Signal, TransportError> {
        self.signals.recv().await.ok_or_else(|| TransportError::transient("the test is over"))
    }
    fn acknowledge(&mut self, _: &Partition, offset: u64) {
        lock(&self.broker.0).acknowledged.push(offset);
    }
    fn seek(&mut self, _: &Partition, offset: u64) {
        lock(&self.broker.0).sought.push(offset);
    }
    fn pause(&mut self, _: &Partition, _: bool) {}
}

fn partition() -> Partition {
    Partition { topic: PaymentMade::TOPIC.into(), part: "0".into() }
}
fn payment(offset: u64, id: u128) -> Received {
    let payment = PaymentMade { id: "kim".into(), amount: 1 };
    received(record(&payment, offset, Uuid::from_u128(id)), &partition(), offset)
}
async fn topics_error(app: &App) -> Option<String> {
    let components = app.health().await.components;
    components.into_iter().find(|component| component.name == "topics").expect("health shows the topics").error
}
fn listener(broker: &Replaceable, script: &Arc<Script>, memory: &Memory) -> cqrs_core::AppBuilder {
    let app = App::builder("listener").discover_part(LISTENER).provide(script.clone());
    app.transport(broker.clone()).storage(memory.clone())
}

async fn group() {
    let (broker, script, memory) = (Replaceable::default(), Arc::new(Script::default()), Memory::new());
    broker.is("first");
    let app = TestApp::start(listener(&broker, &script, &memory)).await.expect("the app starts");
    broker.emit(Signal::Assigned(vec![partition()]));
    broker.send(0..3, 1);
    until("three are handled", async || script.handled().len() == 3).await;
    assert_eq!(topics_error(&app).await, None);
    // While the process is down, the topic is created again and has more records than were read.
    assert!(app.stop().await);
    broker.is("second");
    let app = TestApp::start(listener(&broker, &script, &memory)).await.expect("the app starts");
    // The comparison at the start may be faster than the assignment, and the member has left then.
    for signal in [Signal::Assigned(vec![partition()]), Signal::Records(vec![payment(3, 104), payment(4, 105)])] {
        broker.try_emit(signal);
    }
    until("the group is left", async || broker.is_empty()).await;
    let error = topics_error(&app).await.expect("health shows the topic");
    assert!(error.contains(PaymentMade::TOPIC), "{error}");
    assert_eq!(script.handled().len(), 3, "nothing is handled, since the first records would be skipped");
    assert!(app.health().await.is_ready());

    let accepted = app.accept_topic(PaymentMade::TOPIC).await.expect("the group is empty");
    assert!(accepted.was_refused);
    assert_eq!(lock(&broker.0).rewound, ["bank.listener"]);
    until("the group is joined again", async || !broker.is_empty()).await;
    broker.emit(Signal::Assigned(vec![partition()]));
    broker.send(0..5, 101);
    until("all are handled", async || script.handled().len() == 8).await;
    assert_eq!(topics_error(&app).await, None);
    assert!(app.stop().await);
    assert!(!app_accepts_again(&broker, &script, &memory).await);
}
/// A pool with one connection, which each message holds for a while.
struct Pool {
    connection: Semaphore,
    handled: AtomicU64,
}
mod pooled {
    use super::{Duration, Ordering, PaymentMade, Pool};
    use cqrs_core::{BoxError, Dep, Recorded, subscriber};
    #[subscriber(group = "pooled")]
    async fn hold(_: Recorded<PaymentMade>, pool: Dep<Pool>) -> Result<(), BoxError> {
        let _connection = pool.connection.acquire().await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        pool.handled.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}
struct Narrow(Memory, Arc<Pool>);
#[async_trait]
impl StorageLayer for Narrow {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        let _connection = self.1.connection.acquire().await.expect("it is never closed");
        self.0.notes(prefix).await
    }
}

async fn narrow() {
    let (broker, memory) = (Replaceable::default(), Memory::new());
    broker.is("first");
    let pool = Arc::new(Pool { connection: Semaphore::new(1), handled: AtomicU64::new(0) });
    let app = App::builder("listener").discover_part("it::topics::pooled").provide(pool.clone());
    let app = app.transport(broker.clone()).storage(Narrow(memory, pool.clone()));
    let app = TestApp::start(app).await.expect("the app starts");
    broker.emit(Signal::Assigned(vec![partition()]));
    for offset in 0..3 {
        broker.send(offset..offset + 1, 1);
        until("the message holds the connection", async || pool.connection.available_permits() == 0).await;
        broker.emit(Signal::Assigned(vec![Partition { part: "1".into(), ..partition() }]));
        until("the record is handled", async || pool.handled.load(Ordering::SeqCst) == offset + 1).await;
    }
    assert!(app.stop().await);
}

async fn quiet() {
    let (broker, script, memory) = (Replaceable::default(), Arc::new(Script::default()), Memory::new());
    broker.is("first");
    let app = TestApp::start(listener(&broker, &script, &memory)).await.expect("the app starts");
    broker.emit(Signal::Assigned(vec![partition()]));
    broker.send(0..1, 1);
    until("the record is handled", async || script.handled().len() == 1).await;
    // The broker gives no signal of the change.
    broker.is("second");
    until("the group is left", async || broker.is_empty()).await;
    assert!(app.accept_topic(PaymentMade::TOPIC).await.expect("the group is empty").was_refused);
    assert!(app.stop().await);
}
/// Returns whether a further start refuses the accepted topic.
async fn app_accepts_again(broker: &Replaceable, script: &Arc<Script>, memory: &Memory) -> bool {
    let app = TestApp::start(listener(broker, script, memory)).await.expect("the app starts");
    let accepted = app.accept_topic(PaymentMade::TOPIC).await.expect("the topic is known");
    assert!(app.stop().await);
    accepted.was_refused
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "sum", key = String)]
struct Sum {
    total: i64,
}
mod sums {
    use super::{Change, PaymentMade, Sum, projection};
    #[projection(name = "sum")]
    fn sum(event: &PaymentMade) -> Change<Sum> {
        let amount = event.amount;
        Change::none().and(event.id.clone(), move |found: Option<Sum>| {
            Some(Sum { total: found.map_or(0, |sum| sum.total) + amount })
        })
    }
}
async fn total(app: &App) -> i64 {
    let found = app.storage().views("sum", &["kim".to_owned()]).await.expect("the memory responds").pop();
    let value = found.and_then(|view| view.value);
    value.map_or(0, |value| serde_json::from_slice::<Sum>(&value).expect("the view can be decoded").total)
}

async fn view() {
    let broker = Replaceable::default();
    broker.is("first");
    let app = App::builder("sums").discover_part("it::topics::sums").transport(broker.clone());
    let app = TestApp::start(app).await.expect("the app starts");
    broker.emit(Signal::Assigned(vec![partition()]));
    broker.send(0..3, 1);
    until("three are applied", async || total(&app).await == 3).await;
    // While the process runs, the topic is created again. Its members are assigned anew.
    broker.is("second");
    broker.emit(Signal::Revoked(vec![partition()], Drained::unwaited()));
    broker.emit(Signal::Assigned(vec![partition()]));
    broker.send(0..5, 101);
    until("the topic is refused", async || topics_error(&app).await.is_some()).await;
    assert_eq!(total(&app).await, 3);
    assert!(app.accept_topic(PaymentMade::TOPIC).await.expect("a projection needs no empty group").was_refused);
    until("every record of the new topic is applied", async || total(&app).await == 8).await;
    assert_eq!(lock(&broker.0).sought, [0, 0], "the checkpoint of the topic before is not that of the new one");
    assert_eq!(topics_error(&app).await, None);
    assert!(app.stop().await);
}

async fn lost() {
    loss_is_accepted("first").await;
    loss_is_accepted("").await;
}
async fn loss_is_accepted(identity: &str) {
    let (broker, script, memory) = (Replaceable::default(), Arc::new(Script::default()), Memory::new());
    broker.is(identity);
    let app = TestApp::start(listener(&broker, &script, &memory)).await.expect("the app starts");
    broker.emit(Signal::Assigned(vec![partition()]));
    broker.send(0..3, 1);
    broker.emit(Signal::Lost { partition: partition(), offsets: 3..7 });
    broker.send(7..8, 1);
    until("the records after the gap are handled", async || script.handled().len() == 4).await;
    broker.emit(Signal::Lost { partition: partition(), offsets: 8..9 });
    broker.send(9..10, 1);
    until("the second gap is recorded", async || {
        topics_error(&app).await.is_some_and(|error| error.contains("records 3 to 9"))
    })
    .await;
    assert!(app.stop().await);
    // Another process and a restart show it as well.
    let app = TestApp::start(listener(&broker, &script, &memory)).await.expect("the app starts");
    until("the loss is read", async || topics_error(&app).await.is_some()).await;
    let accepted = app.accept_topic(PaymentMade::TOPIC).await.expect("the loss can be accepted");
    assert_eq!((accepted.was_refused, accepted.lost), (false, 1));
    assert_eq!(topics_error(&app).await, None);
    assert!(app.stop().await);
}

async fn missing() {
    let (broker, script, memory) = (Replaceable::default(), Arc::new(Script::default()), Memory::new());
    broker.is("first");
    lock(&broker.0).missing = true;
    let app = TestApp::start(listener(&broker, &script, &memory)).await.expect("the app starts");
    until("health shows the topic", async || topics_error(&app).await.is_some()).await;
    let expected = format!("topic {} does not exist yet; its owner creates it", PaymentMade::TOPIC);
    assert_eq!(topics_error(&app).await, Some(expected));
    assert!(app.health().await.is_ready());
    assert_eq!(lock(&broker.0).ensured, Vec::<String>::new(), "the topic is its owner's");
    lock(&broker.0).missing = false;
    broker.emit(Signal::Assigned(vec![partition()]));
    broker.send(0..3, 1);
    until("three are handled", async || script.handled().len() == 3).await;
    until("health finds the topic", async || topics_error(&app).await.is_none()).await;
    assert!(app.stop().await);
}

async fn owned() {
    let broker = Replaceable::default();
    let app = App::builder("bank").discover_part(BANK).aggregate(StateStored::<Account>::new());
    let app = TestApp::start(app.transport(broker.clone())).await.expect("the app starts");
    assert_eq!(lock(&broker.0).ensured, [PaymentMade::TOPIC]);
    assert!(app.stop().await);
}

async fn unknown() {
    let (broker, script, memory) = (Replaceable::default(), Arc::new(Script::default()), Memory::new());
    let app = TestApp::start(listener(&broker, &script, &memory)).await.expect("the app starts");
    let error = app.accept_topic("order.events.v1").await.expect_err("no function reads this topic");
    assert!(error.to_string().contains("reads no topic order.events.v1"), "{error}");
    assert!(app.stop().await);
}
