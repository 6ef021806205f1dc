//! Storage in memory, behind one mutex, for tests and first steps.
mod data;
mod keys;
mod parked;
mod timer;
mod unique;
mod view_copy;

use crate::{
    environment::{Environment, system},
    error::Fault,
    event::{Entry, StreamEvent, stream_of},
    position::Position,
    storage::batch::{Batch, CommitError, StoredResponse},
    storage::check::{self, check},
    storage::parked::{Cutoff, InboxLookup, LEFT_TO_NEWER_PROGRAM, Parked, ParkedKey, ParkedPage},
    storage::{
        ArchiveRange, Archived, ComparedValues, CountedEntries, DueTimers, Firing, KeyStore, Lease, Loaded, ReadLimit,
        Scan, Scanned, SnapshotAndEvents, Storage, StoredData, StoredProgram, StoredRow, StoredValues, StoredView,
        Timer, TimerCounts, TimerPage, Tx, ValueReservation, ViewSwitch,
    },
};
use async_trait::async_trait;
use data::Data;
use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::watch;
use uuid::Uuid;

/// A storage that is lost with the process. A clone is another handle on the same data, as after a restart.
///
/// ```
/// use cqrs_core::storage::{Batch, Memory, Row, Storage};
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
    /// The last position, for callers that wait for a commit.
    last: Arc<watch::Sender<u64>>,
    environment: Arc<dyn Environment>,
}

impl Memory {
    /// Creates an empty storage.
    pub fn new() -> Self {
        Memory::with(system())
    }
    /// Creates an empty storage whose leases and timers use the clock of this environment.
    pub fn with(environment: Arc<dyn Environment>) -> Self {
        Memory { data: Arc::default(), last: Arc::new(watch::Sender::new(0)), environment }
    }
    /// Locks the data. No change can panic half-way, so the data behind a poisoned lock is still consistent.
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
    async fn row(&self, kind: &str, id: &str, response: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        check::key(id, response)?;
        let data = self.data();
        Ok(Loaded { found: data.row(kind, id), response: response.and_then(|key| data.responses.get(key).cloned()) })
    }
    async fn stream(
        &self,
        stream: &str,
        after: u64,
        response: Option<&str>,
    ) -> Result<Loaded<Vec<StreamEvent>>, Fault> {
        check::key(stream, response)?;
        let data = self.data();
        let found = data.events(stream, after).map(StreamEvent::from).collect();
        Ok(Loaded { found, response: response.and_then(|key| data.responses.get(key).cloned()) })
    }
    async fn snapshot(
        &self,
        kind: &str,
        id: &str,
        form: i64,
        response: Option<&str>,
    ) -> Result<Loaded<SnapshotAndEvents>, Fault> {
        check::key(id, response)?;
        let data = self.data();
        let found = data.snapshot(kind, id, form);
        Ok(Loaded { found, response: response.and_then(|key| data.responses.get(key).cloned()) })
    }
    async fn stream_page(&self, stream: &str, after: u64, limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        check::key(stream, None)?;
        Ok(limit.take(self.data().events(stream, after).cloned()))
    }
    async fn response(&self, key: &str) -> Result<Option<StoredResponse>, Fault> {
        check::key(key, None)?;
        Ok(self.data().responses.get(key).cloned())
    }
    async fn lookup_inbox(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<InboxLookup, Fault> {
        let data = self.data();
        let handled =
            messages.iter().filter(|message| data.inbox.contains_key(&(group.to_owned(), **message))).copied();
        let parked = keys.iter().filter(|key| data.first_parked(group, key).is_some()).cloned();
        Ok(InboxLookup { handled: handled.collect(), parked: parked.collect() })
    }
    async fn parked_keys(&self, page: &ParkedPage<'_>) -> Result<Vec<ParkedKey>, Fault> {
        check::page(page)?;
        Ok(self.data().parked_keys(page))
    }
    async fn first_parked(&self, reader: &str, keys: &[String]) -> Result<Vec<(String, String)>, Fault> {
        let data = self.data();
        let first = |key: &String| Some((key.clone(), data.first_parked(reader, key)?.error.clone()));
        Ok(keys.iter().filter_map(first).collect())
    }
    async fn parked_counts(&self, limit: usize) -> Result<Vec<(String, u64)>, Fault> {
        Ok(self.data().parked_counts(limit))
    }
    async fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault> {
        Ok(self.data().parked(reader, key, after, limit))
    }
    async fn purge(&self, old: &Cutoff, limit: usize) -> Result<u64, Fault> {
        Ok(self.data().purge(old, self.environment.now(), limit))
    }
    async fn archive(&self, range: &ArchiveRange, limit: usize) -> Result<Archived, Fault> {
        Ok(self.data().archive(range, limit))
    }
    async fn checkpoints_below(&self, prefix: &str) -> Result<Vec<(String, u64)>, Fault> {
        let data = self.data();
        let below = data.readers.iter().filter(|(reader, _)| reader.starts_with(prefix));
        let mut below: Vec<_> = below.map(|(reader, stored)| (reader.clone(), stored.checkpoint)).collect();
        below.sort_unstable();
        Ok(below)
    }
    async fn serving_copy(&self, view: &str) -> Result<u64, Fault> {
        Ok(self.data().serving_copy(view))
    }
    async fn switch_view(&self, switch: &ViewSwitch) -> Result<bool, Fault> {
        Ok(self.data().switch_view(switch))
    }
    async fn compare_copies(
        &self,
        copies: [&str; 2],
        readers: [&[String]; 2],
        after: Option<&str>,
        limit: usize,
    ) -> Result<ComparedValues, Fault> {
        Ok(self.data().compare_copies(copies, readers, after, limit))
    }
    async fn drop_copy(&self, view: &str, copy: u64, readers: &[String], limit: usize) -> Result<u64, Fault> {
        self.data().drop_copy(view, copy, readers, limit)
    }
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        check::keys(keys)?;
        let data = self.data();
        let view = data.read_as(view);
        let stored = |key: &String| {
            let found = data.views.get(&(view.clone(), key.clone()))?;
            Some(StoredView { key: key.clone(), version: found.version, value: found.value.clone() })
        };
        Ok(keys.iter().filter_map(stored).collect())
    }
    async fn view_values_after(
        &self,
        stored: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredView>, Fault> {
        let data = self.data();
        let of_copy = data.views.iter().filter(|((view, key), value)| {
            view == stored && value.version > 0 && after.is_none_or(|after| &**key > after)
        });
        let mut values: Vec<_> = of_copy
            .map(|((_, key), view)| StoredView { key: key.clone(), version: view.version, value: view.value.clone() })
            .collect();
        values.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        values.truncate(limit);
        Ok(values)
    }
    async fn views_of_other_index_sets(
        &self,
        view: &str,
        index_sets: &[i64],
        limit: usize,
    ) -> Result<Vec<StoredView>, Fault> {
        let data = self.data();
        let view = data.read_as(view);
        let others = data.views.iter().filter(|((name, _), stored)| {
            *name == view && stored.version > 0 && !index_sets.contains(&stored.index_set)
        });
        let stored = others.map(|((_, key), stored)| StoredView {
            key: key.clone(),
            version: stored.version,
            value: stored.value.clone(),
        });
        Ok(stored.take(limit).collect())
    }
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        check::range(scan)?;
        let data = self.data();
        let scanned = |(view, _, entry, key): &data::IndexEntry| {
            let value = data.views.get(&(view.clone(), key.clone()))?.value.clone()?;
            Some(Scanned { entry: entry.clone(), key: key.clone(), value })
        };
        Ok(data.scan(scan).into_iter().filter_map(scanned).collect())
    }
    async fn count_entries(&self, scan: &Scan<'_>) -> Result<u64, Fault> {
        check::range(scan)?;
        Ok(self.data().scan(scan).len() as u64)
    }
    async fn checkpoints(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        let data = self.data();
        Ok(readers.iter().map(|reader| data.checkpoint(reader)).collect())
    }
    async fn high_water_mark(&self) -> Result<Position, Fault> {
        Ok(Position(self.data().log.len() as u64))
    }
    async fn log(&self, after: Position, upto: Position, limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        let data = self.data();
        let from = data.log.iter().skip(after.0 as usize);
        Ok(limit.take(from.take_while(|entry| entry.position <= upto).cloned()))
    }
    async fn count_log(
        &self,
        counted: CountedEntries<'_>,
        after: Position,
        upto: Position,
        limit: usize,
    ) -> Result<u64, Fault> {
        let data = self.data();
        let from = data.log.iter().skip(after.0 as usize);
        let range = from.take_while(|entry| entry.position <= upto).take(limit);
        let shard = |entry: &Entry| entry.outgoing.as_ref().map(|outgoing| outgoing.shard);
        Ok(range.filter(|entry| counted.contains(&entry.name, shard(entry))).count() as u64)
    }
    async fn outgoing_entries(
        &self,
        shards: &[(u16, Position)],
        upto: Position,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        let data = self.data();
        let one = |(shard, after): &(u16, Position)| {
            let shard = *shard;
            let from = data.log.iter().skip(after.0 as usize).take_while(|entry| entry.position <= upto);
            let outgoing =
                from.filter(move |entry| entry.outgoing.as_ref().is_some_and(|outgoing| outgoing.shard == shard));
            limit.take(outgoing.map(Entry::without_payload))
        };
        Ok(shards.iter().flat_map(one).collect())
    }
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        let now = self.environment.now();
        let mut data = self.data();
        let stored = data.readers.entry(reader.to_owned()).or_default();
        match &stored.lease {
            Some((holder, _)) if holder == owner => {}
            Some((_, until)) if *until > now => return Ok(None),
            _ => stored.epoch += 1,
        }
        let ttl = chrono::TimeDelta::from_std(ttl)
            .map_err(|error| Fault::internal("the lease is too long").because(error))?;
        stored.lease = Some((owner.to_owned(), now + ttl));
        Ok(Some(Lease { epoch: stored.epoch, position: Position(stored.checkpoint) }))
    }
    async fn release(&self, reader: &str, owner: &str) -> Result<(), Fault> {
        if let Some(stored) = self.data().readers.get_mut(reader) {
            stored.lease.take_if(|(holder, _)| holder == owner);
        }
        Ok(())
    }
    async fn left_to_newer_program(&self, limit: usize) -> Result<Vec<(String, String)>, Fault> {
        let data = self.data();
        let is_left = |reader: &str, key: &str| {
            data.first_parked(reader, key).is_some_and(|first| first.error == LEFT_TO_NEWER_PROGRAM)
        };
        let left = data.parked_by_key.keys().filter(|(reader, key)| is_left(reader, key));
        Ok(left.take(limit).cloned().collect())
    }
    async fn replace_parked_error(&self, number: u64, expected: &str, error: &str) -> Result<bool, Fault> {
        check::text("the error", error)?;
        Ok(self.data().replace_parked_error(number, expected, error))
    }
    async fn declare_program(&self, declaration: &str) -> Result<(u64, Duration), Fault> {
        let programs = &mut self.data().programs;
        let known = programs.iter().position(|known| known == declaration);
        let index = known.unwrap_or_else(|| {
            programs.push(declaration.to_owned());
            programs.len() - 1
        });
        // No other process uses the memory, so nobody has to notice the program.
        Ok((index as u64 + 1, Duration::MAX))
    }
    async fn programs(&self, after: u64) -> Result<Vec<StoredProgram>, Fault> {
        let data = self.data();
        let numbered = data.programs.iter().zip(1..).filter(|(_, number)| *number > after);
        Ok(numbered.map(|(text, number)| StoredProgram { number, declaration: text.clone() }).collect())
    }
    async fn holds(&self, stored: &StoredData) -> Result<bool, Fault> {
        let data = self.data();
        Ok(match stored {
            StoredData::Aggregate(name) => {
                let prefix = format!("{name}/");
                data.rows.keys().any(|(kind, _)| kind == name) || data.streams.keys().any(|of| of.starts_with(&prefix))
            }
            StoredData::Event(name) => data.log.iter().any(|entry| entry.name == *name),
            StoredData::View(name) => {
                let serving = data.read_as(name);
                data.views.iter().any(|((view, _), stored)| *view == serving && stored.value.is_some())
            }
        })
    }
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        let data = self.data();
        let notes = data.notes.range(prefix.to_owned()..).take_while(|(name, _)| name.starts_with(prefix));
        Ok(notes.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
    async fn replace_note(&self, name: &str, expected: Option<&str>, value: Option<&str>) -> Result<bool, Fault> {
        let notes = &mut self.data().notes;
        if notes.get(name).map(String::as_str) != expected {
            return Ok(false);
        }
        match value {
            Some(value) => drop(notes.insert(name.to_owned(), value.to_owned())),
            None => drop(notes.remove(name)),
        }
        Ok(true)
    }
    async fn rows_after(
        &self,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, StoredRow)>, Fault> {
        let data = self.data();
        let rows = data.rows.iter().filter(|((of, id), _)| of == kind && after.is_none_or(|after| &**id > after));
        let mut rows: Vec<_> = rows.map(|((_, id), row)| (id, row)).collect();
        rows.sort_unstable_by_key(|(id, _)| *id);
        Ok(rows.into_iter().take(limit).map(|(id, row)| (id.clone(), row.clone())).collect())
    }
    async fn streams_after(
        &self,
        kind: &str,
        after: Option<(&str, u64)>,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        let (prefix, data) = (stream_of(kind, ""), self.data());
        let (first, version) = after.unwrap_or((&prefix, 0));
        let streams = data.streams.iter().filter(|(stream, _)| stream.starts_with(&prefix) && &***stream >= first);
        let mut streams: Vec<_> = streams.collect();
        streams.sort_unstable();
        let entries = streams.into_iter().flat_map(|(stream, entries)| {
            let skipped = if stream == first { version as usize } else { 0 };
            entries.iter().skip(skipped).map(|index| data.log[*index].clone())
        });
        Ok(limit.take(entries))
    }
    async fn reserve_stored(&self, values: &StoredValues) -> Result<Vec<ValueReservation>, Fault> {
        Ok(self.data().reserve_stored(values))
    }
    async fn unreserved(&self, index: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
        let data = self.data();
        let streams = data.unreserved.iter().filter(|(of, _)| of == index).map(|(_, stream)| stream);
        Ok(streams.filter(|stream| after.is_none_or(|after| &***stream > after)).take(limit).cloned().collect())
    }
    async fn due_timers(&self, after: Option<Firing>, limit: usize) -> Result<DueTimers, Fault> {
        Ok(self.data().timers.due(after, self.environment.now(), limit))
    }
    async fn timers(&self, page: &TimerPage<'_>) -> Result<Vec<Timer>, Fault> {
        check::timers(page)?;
        Ok(self.data().timers.page(page, self.environment.now()))
    }
    async fn timer_counts(&self, limit: usize) -> Result<TimerCounts, Fault> {
        Ok(self.data().timers.counts(self.environment.now(), limit))
    }
    async fn migrate(&self) -> Result<(), Fault> {
        Ok(())
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        check(&batch)?;
        let mut data = self.data();
        data.refuse(&batch)?;
        let position = data.apply(batch, self.environment.now());
        // Sent under the lock, so that it never decreases.
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
    fn key_store(&self) -> Option<Arc<dyn KeyStore>> {
        Some(Arc::new(self.clone()))
    }
    async fn wait_for_commit(&self, after: Position) {
        // The wait cannot fail, since the sender lives as long as this handle.
        let _ = self.last.subscribe().wait_for(|last| *last > after.0).await;
    }
}

/// A transaction in memory. There is no SQL before the batch, so it only commits the batch.
struct MemoryTx(Memory, ());
#[async_trait]
impl Tx for MemoryTx {
    fn driver(&mut self) -> &mut (dyn Any + Send) {
        &mut self.1
    }
    async fn commit(self: Box<Self>, batch: Batch) -> Result<Position, CommitError> {
        self.0.commit(batch).await
    }
}
