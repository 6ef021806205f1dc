//! A subscriber to the bank's topic that does as a test says, and a record made by hand.
use crate::bank::Told;
use cqrs_core::{BoxError, Contract, Dep, Position, Recorded, Timestamp, log::lane_of, subscriber, transport::Record};
use std::{
    collections::BTreeSet,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};
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
    let Told { id, amount } = event.event;
    if [id.clone(), format!("{id} {amount}")].iter().any(|it| lock(&script.stuck).contains(it)) {
        return Err("planted: it is stuck".into());
    }
    lock(&script.heard).push((id, amount));
    Ok(())
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
