//! A subscriber to the bank's topic that does as a test says, a record made by hand, a transport that says what it is told.
use crate::bank::Told;
use async_trait::async_trait;
use cqrs_core::{
    BoxError, Contract, Dep, Position, Recorded, Timestamp,
    log::lane_of,
    subscriber,
    transport::{Audience, Partition, Published, Record, Signal, Subscription, Transport, TransportError},
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

/// What it was told, and what it refuses.
#[derive(Debug, Default)]
pub(crate) struct Script {
    heard: Mutex<Vec<(String, i64)>>,
    stuck: Mutex<BTreeSet<String>>,
    /// How often it was called.
    pub(crate) calls: AtomicU32,
}
impl Script {
    /// Refuses these accounts, or one payment of an account (`kim 1`), until told otherwise.
    pub(crate) fn stuck<'a>(&self, accounts: impl IntoIterator<Item = &'a str>) {
        *lock(&self.stuck) = accounts.into_iter().map(str::to_owned).collect();
    }
    pub(crate) fn heard(&self) -> Vec<(String, i64)> {
        lock(&self.heard).clone()
    }
    /// What it heard of one account, in order.
    pub(crate) fn of(&self, account: &str) -> Vec<i64> {
        lock(&self.heard).iter().filter(|(of, _)| of == account).map(|(_, amount)| *amount).collect()
    }
    pub(crate) fn hear(&self, id: &str, amount: i64) -> Result<(), BoxError> {
        if [id.to_owned(), format!("{id} {amount}")].iter().any(|it| lock(&self.stuck).contains(it)) {
            return Err("planted: it is stuck".into());
        }
        lock(&self.heard).push((id.to_owned(), amount));
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
async fn listen(event: Recorded<Told>, script: Dep<Script>) -> Result<(), BoxError> {
    script.calls.fetch_add(1, Ordering::SeqCst);
    // So that what could overtake does.
    tokio::task::yield_now().await;
    script.hear(&event.event.id, event.amount)
}

/// A record as the relay would write it.
pub(crate) fn record(told: &Told, position: u64, id: Uuid) -> Record {
    let header = |name: &str, value: String| (name.to_owned(), value);
    Record {
        topic: Told::TOPIC.into(),
        key: told.key(),
        body: told.encode(),
        headers: vec![header("ce_id", id.to_string()), header("ce_type", Told::NAME.into())],
        service: "bank".into(),
        lane: lane_of(&told.key()),
        position: Position(position),
        at: Timestamp::UNIX_EPOCH,
    }
}

/// A transport whose one subscription says what the test says; the second asks in vain.
pub(crate) struct Scripted(Mutex<Option<Member>>);
/// What a subscription was told to do.
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
    /// The transport, what says a signal, and what its reader does.
    pub(crate) fn new() -> (Self, impl Fn(Signal), Notes) {
        let (say, signals) = mpsc::unbounded_channel();
        let notes = Notes::default();
        let member = Member { signals, notes: notes.clone() };
        (Scripted(Mutex::new(Some(member))), move |signal| say.send(signal).expect("it listens"), notes)
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
        let member = lock(&self.0).take().ok_or_else(|| TransportError::permanent("there is one subscription"))?;
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
