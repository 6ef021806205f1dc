//! Everything in a mutex: for tests and the first ten minutes.
mod aside;
mod data;

use crate::{
    Fault,
    batch::{Answer, Batch, Entry, Position, Rejected},
    storage::{Lease, Loaded, Old, Parked, ParkedKey, Scan, Scanned, Seen, Storage, StoredRow, StoredView, Tx, check},
    world::{World, machine},
};
use async_trait::async_trait;
use data::Data;
use std::{
    any::Any,
    fmt,
    ops::Bound::{Excluded, Included, Unbounded},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::watch;
use uuid::Uuid;

/// A storage that is gone with the process. A clone is another handle on the same data, as after a restart.
///
/// ```
/// use cqrs_core::{batch::{Batch, Row}, storage::{Memory, Storage}};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let memory = Memory::new();
/// let row = Row { kind: "user", id: "kim".into(), expected: 0, version: 1, state: Some(b"{}".to_vec()) };
/// memory.commit(Batch { rows: vec![row], ..Batch::default() }).await.unwrap();
/// assert_eq!(memory.row("user", "kim", None).await.unwrap().found.version, 1);
/// # });
/// ```
#[derive(Clone)]
pub struct Memory {
    data: Arc<Mutex<Data>>,
    /// The last position, for those who wait for it.
    last: Arc<watch::Sender<u64>>,
    world: Arc<dyn World>,
}

impl Memory {
    /// An empty one.
    pub fn new() -> Self {
        Memory::with(machine())
    }
    /// An empty one whose leases go by this world's clock.
    pub fn with(world: Arc<dyn World>) -> Self {
        Memory { data: Arc::default(), last: Arc::new(watch::Sender::new(0)), world }
    }
    /// Nothing panics while it is held and half done, so a poisoned lock is as good as any.
    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
impl Default for Memory {
    fn default() -> Self {
        Memory::new()
    }
}
impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} events)", self.data().log.len())
    }
}

#[async_trait]
impl Storage for Memory {
    fn is_exclusive(&self) -> bool {
        true
    }
    async fn row(&self, kind: &str, id: &str, answer: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        let data = self.data();
        Ok(Loaded { found: data.row(kind, id), answer: answer.and_then(|it| data.answers.get(it).cloned()) })
    }
    async fn stream(&self, stream: &str, after: u64, answer: Option<&str>) -> Result<Loaded<Vec<Entry>>, Fault> {
        let data = self.data();
        let all = data.streams.get(stream).map_or(&[][..], Vec::as_slice);
        let found = all.iter().skip(after as usize).map(|it| data.log[*it].clone()).collect();
        Ok(Loaded { found, answer: answer.and_then(|it| data.answers.get(it).cloned()) })
    }
    async fn answer(&self, key: &str) -> Result<Option<Answer>, Fault> {
        Ok(self.data().answers.get(key).cloned())
    }
    async fn seen(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<Seen, Fault> {
        let data = self.data();
        let handled = messages.iter().filter(|it| data.inbox.contains_key(&(group.to_owned(), **it))).copied();
        let parked = keys.iter().filter(|it| data.is_parked(group, it)).cloned();
        Ok(Seen { handled: handled.collect(), parked: parked.collect() })
    }
    async fn parked_keys(&self, readers: &[String]) -> Result<Vec<ParkedKey>, Fault> {
        Ok(self.data().parked_keys(readers))
    }
    async fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault> {
        Ok(self.data().parked(reader, key, after, limit))
    }
    async fn forget(&self, old: &Old, limit: usize) -> Result<u64, Fault> {
        Ok(self.data().forget(old, self.world.now(), limit))
    }
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        let data = self.data();
        let stored = |key: &String| {
            let it = data.views.get(&(view.to_owned(), key.clone()))?;
            Some(StoredView { key: key.clone(), version: it.version, value: it.value.clone() })
        };
        Ok(keys.iter().filter_map(stored).collect())
    }
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        let whole =
            |entry: &[u8], key: &str| (scan.view.to_owned(), scan.index.to_owned(), entry.to_vec(), key.to_owned());
        let start = match scan.after {
            Some((entry, key)) if entry >= scan.prefix => Excluded(whole(entry, key)),
            _ => Included(whole(scan.prefix, "")),
        };
        let data = self.data();
        let found = data.entries.range((start, Unbounded));
        let wanted = found.take_while(|(view, index, entry, _)| {
            view == scan.view && index == scan.index && entry.starts_with(scan.prefix)
        });
        let scanned = |(view, _, entry, key): &data::IndexEntry| {
            let value = data.views.get(&(view.clone(), key.clone()))?.value.clone()?;
            Some(Scanned { entry: entry.clone(), key: key.clone(), value })
        };
        Ok(wanted.filter_map(scanned).take(scan.limit).collect())
    }
    async fn positions(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        let data = self.data();
        Ok(readers.iter().map(|it| data.at(it)).collect())
    }
    async fn horizon(&self) -> Result<Position, Fault> {
        Ok(Position(self.data().log.len() as u64))
    }
    async fn log(&self, after: Position, upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        let data = self.data();
        let from = data.log.iter().skip(after.0 as usize);
        Ok(from.take_while(|it| it.position <= upto).take(limit).cloned().collect())
    }
    async fn lanes(&self, lanes: &[(u16, Position)], upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        let data = self.data();
        let one = |(lane, after): &(u16, Position)| {
            let lane = *lane;
            let from = data.log.iter().skip(after.0 as usize).take_while(|it| it.position <= upto);
            let told = from.filter(move |it| it.told.as_ref().is_some_and(|told| told.lane == lane));
            told.take(limit).cloned().collect::<Vec<_>>()
        };
        Ok(lanes.iter().flat_map(one).collect())
    }
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        let now = self.world.now();
        let mut data = self.data();
        let stored = data.readers.entry(reader.to_owned()).or_default();
        match &stored.lease {
            Some((it, _)) if it == owner => {}
            Some((_, until)) if *until > now => return Ok(None),
            _ => stored.epoch += 1,
        }
        let ttl =
            chrono::TimeDelta::from_std(ttl).map_err(|error| Fault::internal("a lease too long").because(error))?;
        stored.lease = Some((owner.to_owned(), now + ttl));
        Ok(Some(Lease { epoch: stored.epoch, position: Position(stored.at) }))
    }
    async fn release(&self, reader: &str, owner: &str) -> Result<(), Fault> {
        if let Some(stored) = self.data().readers.get_mut(reader) {
            stored.lease.take_if(|(it, _)| it == owner);
        }
        Ok(())
    }
    async fn migrate(&self) -> Result<(), Fault> {
        Ok(())
    }
    async fn commit(&self, batch: Batch) -> Result<Position, Rejected> {
        check(&batch)?;
        let mut data = self.data();
        data.refuse(&batch)?;
        let position = data.apply(batch, self.world.now());
        // Under the lock, so that it never goes back.
        self.last.send_if_modified(|last| {
            position.0 > *last && {
                *last = position.0;
                true
            }
        });
        Ok(position)
    }
    async fn begin(&self) -> Result<Box<dyn Tx>, Fault> {
        Ok(Box::new(MemoryTx(self.clone(), ())))
    }
    async fn committed(&self, after: Position) {
        // The sender lives as long as this handle, so the wait ends by a commit or not at all.
        let _ = self.last.subscribe().wait_for(|last| *last > after.0).await;
    }
}

/// There is no SQL in memory, so nothing happens before the batch.
struct MemoryTx(Memory, ());
#[async_trait]
impl Tx for MemoryTx {
    fn driver(&mut self) -> &mut (dyn Any + Send) {
        &mut self.1
    }
    async fn commit(self: Box<Self>, batch: Batch) -> Result<Position, Rejected> {
        self.0.commit(batch).await
    }
}
