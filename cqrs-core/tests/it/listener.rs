//! Test doubles for messaging: a scripted subscriber, a record built by hand, and a scripted transport.
use crate::bank::PaymentMade;
use async_trait::async_trait;
use cqrs_core::{
    BoxError, Dep, IntegrationEvent, Position, Recorded, Timestamp,
    event::shard_of,
    subscriber,
    transport::{Audience, Partition, Published, Received, Record, Signal, Subscription, Transport, TransportError},
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::sync::mpsc;
use uuid::Uuid;

pub(crate) const LISTENER: &str = module_path!();
pub(crate) const GROUP_OF_LISTENER: &str = "bank.listener";

/// The payments that the subscriber has handled, and those that it refuses.
#[derive(Debug, Default)]
pub(crate) struct Script {
    handled: Mutex<Vec<(String, i64)>>,
    stuck: Mutex<BTreeSet<String>>,
    /// The number of calls of the subscriber.
    pub(crate) calls: AtomicU32,
}
impl Script {
    /// Refuses these accounts, or one payment of an account (`kim 1`), until the next call of this function.
    pub(crate) fn stuck<'a>(&self, accounts: impl IntoIterator<Item = &'a str>) {
        *lock(&self.stuck) = accounts.into_iter().map(str::to_owned).collect();
    }
    pub(crate) fn handled(&self) -> Vec<(String, i64)> {
        lock(&self.handled).clone()
    }
    /// Returns the handled amounts of one account, in order.
    pub(crate) fn of(&self, account: &str) -> Vec<i64> {
        lock(&self.handled).iter().filter(|(of, _)| of == account).map(|(_, amount)| *amount).collect()
    }
    pub(crate) fn handle(&self, id: &str, amount: i64) -> Result<(), BoxError> {
        if [id.to_owned(), format!("{id} {amount}")].iter().any(|stuck| lock(&self.stuck).contains(stuck)) {
            return Err("seeded: the account is stuck".into());
        }
        lock(&self.handled).push((id.to_owned(), amount));
        Ok(())
    }
    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }
}
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[subscriber(group = "bank.listener")]
async fn listen(event: Recorded<PaymentMade>, script: Dep<Script>) -> Result<(), BoxError> {
    script.calls.fetch_add(1, Ordering::SeqCst);
    // Gives other messages the chance to overtake this one.
    tokio::task::yield_now().await;
    script.handle(&event.event.id, event.amount)
}

/// Builds a record as the relay would write it.
pub(crate) fn record(payment: &PaymentMade, position: u64, id: Uuid) -> Record {
    let header = |name: &str, value: String| (name.to_owned(), value);
    Record {
        topic: PaymentMade::TOPIC.into(),
        key: payment.key(),
        body: payment.encode().expect("plain data can be encoded"),
        headers: vec![header("ce_id", id.to_string()), header("ce_type", PaymentMade::NAME.into())],
        service: "bank".into(),
        shard: shard_of(&payment.key()),
        position: Position(position),
        occurred_at: Timestamp::UNIX_EPOCH,
    }
}

/// Returns the record as a member of a group receives it from this place.
pub(crate) fn received(record: Record, partition: &Partition, offset: u64) -> Received {
    Received {
        partition: partition.clone(),
        offset,
        key: Some(record.key.into_bytes()),
        body: Some(record.body),
        headers: record.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect(),
        timestamp: None,
    }
}

/// A transport with one subscription, whose signals the test sends. A second subscription is refused.
pub(crate) struct Scripted(Mutex<Option<Member>>);
/// The calls that a subscription has received.
#[derive(Clone, Default)]
pub(crate) struct Notes {
    acknowledged: Arc<Mutex<Vec<u64>>>,
    sought: Arc<Mutex<Vec<(String, u64)>>>,
}
impl Notes {
    pub(crate) fn acknowledged(&self) -> Vec<u64> {
        lock(&self.acknowledged).clone()
    }
    pub(crate) fn sought(&self) -> Vec<(String, u64)> {
        lock(&self.sought).clone()
    }
}
impl Scripted {
    /// Returns the transport, a function that sends a signal, and the notes of the subscription's calls.
    pub(crate) fn new() -> (Self, impl Fn(Signal), Notes) {
        let (sender, signals) = mpsc::unbounded_channel();
        let notes = Notes::default();
        let member = Member { signals, notes: notes.clone() };
        (
            Scripted(Mutex::new(Some(member))),
            move |signal| sender.send(signal).expect("the subscription is open"),
            notes,
        )
    }
}
#[async_trait]
impl Transport for Scripted {
    async fn ensure_topics(&self, _: &[&str]) -> Result<(), TransportError> {
        Ok(())
    }
    fn audiences(&self, _: &[&str]) -> Vec<Audience> {
        Vec::new()
    }
    async fn publish(&self, _: &Audience, _: &[Record]) -> Published {
        Published { acknowledged: 0, error: None }
    }
    async fn subscribe(&self, _: &str, _: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        let member = lock(&self.0)
            .take()
            .ok_or_else(|| TransportError::permanent("the scripted transport has one subscription"))?;
        Ok(Box::new(member))
    }
}
struct Member {
    signals: mpsc::UnboundedReceiver<Signal>,
    notes: Notes,
}
#[async_trait]
impl Subscription for Member {
    async fn next(&mut self) -> Result<Signal, TransportError> {
        self.signals.recv().await.ok_or_else(|| TransportError::transient("the test is over"))
    }
    fn acknowledge(&mut self, _: &Partition, offset: u64) {
        lock(&self.notes.acknowledged).push(offset);
    }
    fn seek(&mut self, partition: &Partition, offset: u64) {
        lock(&self.notes.sought).push((partition.to_string(), offset));
    }
    fn pause(&mut self, _: &Partition, _: bool) {}
}
