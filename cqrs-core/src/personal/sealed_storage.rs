//! The storage of an app with personal data: it encrypts values that are written, and decrypts values that are read.
//!
//! It is the one place where personal values pass between the memory of a process and a database. Outgoing messages and
//! received records pass it encrypted.
use crate::{
    error::Fault,
    event::{Entry, StreamEvent},
    personal::{
        hashes::PersonalIndexes,
        sealing::{self, Place},
        subject_keys::SubjectKeys,
    },
    position::Position,
    storage::{
        ArchiveRange, Archived, Batch, CommitError, ComparedValues, CountedEntries, Cutoff, DatabaseStats, DueTimers,
        Firing, InboxLookup, KeyStore, Lease, Loaded, OutgoingRange, Parked, ParkedKey, ParkedPage, ReadLimit, Scan,
        Scanned, SnapshotAndEvents, Storage, StoredData, StoredProgram, StoredResponse, StoredRow, StoredValues,
        StoredView, Timer, TimerCounts, TimerPage, Tx, ValueReservation, ViewSwitch,
    },
};
use async_trait::async_trait;
use std::{any::Any, sync::Arc, time::Duration};
use uuid::Uuid;

/// A storage whose personal values are encrypted.
pub(crate) struct SealedStorage {
    inner: Arc<dyn Storage>,
    keys: Arc<SubjectKeys>,
    indexes: Arc<PersonalIndexes>,
}

impl SealedStorage {
    pub(crate) fn new(inner: Arc<dyn Storage>, keys: Arc<SubjectKeys>, indexes: PersonalIndexes) -> Self {
        SealedStorage { inner, keys, indexes: Arc::new(indexes) }
    }
    async fn open(&self, values: Vec<(Place<'_>, &mut Vec<u8>)>) -> Result<(), Fault> {
        sealing::open(values, &self.keys).await
    }
}

/// Encrypts the personal values of a batch, and hashes the unique ones.
async fn seal(batch: &mut Batch, keys: &SubjectKeys, indexes: &PersonalIndexes) -> Result<(), Fault> {
    sealing::seal(batch, keys).await?;
    if indexes.are_in(batch) {
        indexes.hash(batch, keys.hash_key().await?);
    }
    Ok(())
}

fn events(entries: &mut [Entry]) -> Vec<(Place<'_>, &mut Vec<u8>)> {
    entries.iter_mut().map(|Entry { name, payload, .. }| (Place::event(name), payload)).collect()
}
fn events_of_stream(events: &mut [StreamEvent]) -> Vec<(Place<'_>, &mut Vec<u8>)> {
    events.iter_mut().map(|StreamEvent { name, payload, .. }| (Place::event(name), payload)).collect()
}
fn commands(timers: &mut [Timer]) -> Vec<(Place<'_>, &mut Vec<u8>)> {
    timers.iter_mut().map(|Timer { command, body, .. }| (Place::command(command), body)).collect()
}
fn response(response: &mut Option<StoredResponse>) -> Option<(Place<'_>, &mut Vec<u8>)> {
    response.as_mut().map(|StoredResponse { key, body, .. }| (Place::response(key), body))
}
fn values<'v>(view: &'v str, values: &'v mut [StoredView]) -> Vec<(Place<'v>, &'v mut Vec<u8>)> {
    values.iter_mut().filter_map(|stored| Some((Place::view(view), stored.value.as_mut()?))).collect()
}

#[async_trait]
impl Storage for SealedStorage {
    async fn row(&self, kind: &str, id: &str, response: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        let mut loaded = self.inner.row(kind, id, response).await?;
        let mut all: Vec<_> = loaded.found.state.iter_mut().map(|state| (Place::state(kind), state)).collect();
        all.extend(self::response(&mut loaded.response));
        self.open(all).await?;
        Ok(loaded)
    }
    async fn stream(
        &self,
        stream: &str,
        after: u64,
        response: Option<&str>,
    ) -> Result<Loaded<Vec<StreamEvent>>, Fault> {
        let mut loaded = self.inner.stream(stream, after, response).await?;
        let mut all = events_of_stream(&mut loaded.found);
        all.extend(self::response(&mut loaded.response));
        self.open(all).await?;
        Ok(loaded)
    }
    async fn snapshot(
        &self,
        kind: &str,
        id: &str,
        form: i64,
        response: Option<&str>,
    ) -> Result<Loaded<SnapshotAndEvents>, Fault> {
        let mut loaded = self.inner.snapshot(kind, id, form, response).await?;
        let mut all = events_of_stream(&mut loaded.found.events);
        let state = loaded.found.snapshot.as_mut().and_then(|snapshot| snapshot.state.as_mut());
        all.extend(state.map(|state| (Place::state(kind), state)));
        all.extend(self::response(&mut loaded.response));
        self.open(all).await?;
        Ok(loaded)
    }
    async fn stream_page(&self, stream: &str, after: u64, limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        let mut entries = self.inner.stream_page(stream, after, limit).await?;
        self.open(events(&mut entries)).await?;
        Ok(entries)
    }
    async fn response(&self, key: &str) -> Result<Option<StoredResponse>, Fault> {
        let mut stored = self.inner.response(key).await?;
        self.open(response(&mut stored).into_iter().collect()).await?;
        Ok(stored)
    }
    async fn lookup_inbox(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<InboxLookup, Fault> {
        self.inner.lookup_inbox(group, messages, keys).await
    }
    async fn parked_keys(&self, page: &ParkedPage<'_>) -> Result<Vec<ParkedKey>, Fault> {
        self.inner.parked_keys(page).await
    }
    async fn first_parked(&self, reader: &str, keys: &[String]) -> Result<Vec<(String, String)>, Fault> {
        self.inner.first_parked(reader, keys).await
    }
    async fn parked_counts(&self, limit: usize) -> Result<Vec<(String, u64)>, Fault> {
        self.inner.parked_counts(limit).await
    }
    async fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault> {
        self.inner.parked(reader, key, after, limit).await
    }
    async fn left_to_newer_program(&self, limit: usize) -> Result<Vec<(String, String)>, Fault> {
        self.inner.left_to_newer_program(limit).await
    }
    async fn replace_parked_error(&self, number: u64, expected: &str, error: &str) -> Result<bool, Fault> {
        self.inner.replace_parked_error(number, expected, error).await
    }
    async fn purge(&self, old: &Cutoff, limit: usize) -> Result<u64, Fault> {
        self.inner.purge(old, limit).await
    }
    async fn archive(&self, range: &ArchiveRange, limit: usize) -> Result<Archived, Fault> {
        self.inner.archive(range, limit).await
    }
    async fn serving_copy(&self, view: &str) -> Result<u64, Fault> {
        self.inner.serving_copy(view).await
    }
    async fn switch_view(&self, switch: &ViewSwitch) -> Result<bool, Fault> {
        self.inner.switch_view(switch).await
    }
    async fn compare_copies(
        &self,
        copies: [&str; 2],
        readers: [&[String]; 2],
        after: Option<&str>,
        limit: usize,
    ) -> Result<ComparedValues, Fault> {
        let mut compared = self.inner.compare_copies(copies, readers, after, limit).await?;
        let view = copies[0];
        let different = compared.different.iter_mut();
        let all = different.flat_map(|(_, first, second)| [first.as_mut(), second.as_mut()].into_iter().flatten());
        self.open(all.map(|value| (Place::view(view), value)).collect()).await?;
        // A value that is encrypted twice has other bytes each time.
        compared.different.retain(|(_, first, second)| first != second);
        Ok(compared)
    }
    async fn drop_copy(&self, view: &str, copy: u64, readers: &[String], limit: usize) -> Result<u64, Fault> {
        self.inner.drop_copy(view, copy, readers, limit).await
    }
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        let mut found = self.inner.views(view, keys).await?;
        self.open(values(view, &mut found)).await?;
        Ok(found)
    }
    async fn views_and_checkpoints(
        &self,
        view: &str,
        keys: &[String],
        readers: &[String],
    ) -> Result<(Vec<StoredView>, Vec<u64>), Fault> {
        let (mut found, checkpoints) = self.inner.views_and_checkpoints(view, keys, readers).await?;
        self.open(values(view, &mut found)).await?;
        Ok((found, checkpoints))
    }
    async fn view_values_after(
        &self,
        stored: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredView>, Fault> {
        let mut found = self.inner.view_values_after(stored, after, limit).await?;
        self.open(values(stored, &mut found)).await?;
        Ok(found)
    }
    async fn views_of_other_index_sets(
        &self,
        view: &str,
        index_sets: &[i64],
        limit: usize,
    ) -> Result<Vec<StoredView>, Fault> {
        let mut found = self.inner.views_of_other_index_sets(view, index_sets, limit).await?;
        self.open(values(view, &mut found)).await?;
        Ok(found)
    }
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        let mut found = self.inner.scan(scan).await?;
        self.open(found.iter_mut().map(|scanned| (Place::view(scan.view), &mut scanned.value)).collect()).await?;
        Ok(found)
    }
    async fn count_entries(&self, scan: &Scan<'_>) -> Result<u64, Fault> {
        self.inner.count_entries(scan).await
    }
    async fn checkpoints(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        self.inner.checkpoints(readers).await
    }
    async fn checkpoints_below(&self, prefix: &str) -> Result<Vec<(String, u64)>, Fault> {
        self.inner.checkpoints_below(prefix).await
    }
    async fn high_water_mark(&self) -> Result<Position, Fault> {
        self.inner.high_water_mark().await
    }
    async fn log(&self, after: Position, upto: Position, limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        self.inner.log(after, upto, limit).await
    }
    async fn log_of(
        &self,
        names: &[&str],
        after: Position,
        upto: Position,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        self.inner.log_of(names, after, upto, limit).await
    }
    async fn count_log(
        &self,
        counted: CountedEntries<'_>,
        after: Position,
        upto: Position,
        limit: usize,
    ) -> Result<u64, Fault> {
        self.inner.count_log(counted, after, upto, limit).await
    }
    async fn outgoing_entries(
        &self,
        shards: &[(u16, Position)],
        upto: Position,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        self.inner.outgoing_entries(shards, upto, limit).await
    }
    async fn outgoing_entries_of(&self, ranges: &[OutgoingRange<'_>], limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        self.inner.outgoing_entries_of(ranges, limit).await
    }
    fn is_exclusive(&self) -> bool {
        self.inner.is_exclusive()
    }
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        self.inner.lease(reader, owner, ttl).await
    }
    async fn leases(&self, readers: &[String], owner: &str, ttl: Duration) -> Result<Vec<Option<Lease>>, Fault> {
        self.inner.leases(readers, owner, ttl).await
    }
    async fn release(&self, reader: &str, owner: &str) -> Result<(), Fault> {
        self.inner.release(reader, owner).await
    }
    async fn declare_program(&self, declaration: &str) -> Result<(u64, Duration), Fault> {
        self.inner.declare_program(declaration).await
    }
    async fn programs(&self, after: u64) -> Result<Vec<StoredProgram>, Fault> {
        self.inner.programs(after).await
    }
    async fn holds(&self, data: &StoredData) -> Result<bool, Fault> {
        self.inner.holds(data).await
    }
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        self.inner.notes(prefix).await
    }
    async fn replace_note(&self, name: &str, expected: Option<&str>, value: Option<&str>) -> Result<bool, Fault> {
        self.inner.replace_note(name, expected, value).await
    }
    async fn rows_after(
        &self,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, StoredRow)>, Fault> {
        let mut rows = self.inner.rows_after(kind, after, limit).await?;
        let states = rows.iter_mut().filter_map(|(_, row)| Some((Place::state(kind), row.state.as_mut()?)));
        self.open(states.collect()).await?;
        Ok(rows)
    }
    async fn streams_after(
        &self,
        kind: &str,
        after: Option<(&str, u64)>,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        let mut entries = self.inner.streams_after(kind, after, limit).await?;
        self.open(events(&mut entries)).await?;
        Ok(entries)
    }
    async fn reserve_stored(&self, values: &StoredValues) -> Result<Vec<ValueReservation>, Fault> {
        match self.indexes.has(&values.index) {
            true => self.inner.reserve_stored(&self.indexes.hashed(values, self.keys.hash_key().await?)).await,
            false => self.inner.reserve_stored(values).await,
        }
    }
    async fn unreserved(&self, index: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
        self.inner.unreserved(index, after, limit).await
    }
    async fn due_timers(&self, after: Option<Firing>, limit: usize) -> Result<DueTimers, Fault> {
        let mut due = self.inner.due_timers(after, limit).await?;
        self.open(commands(&mut due.timers)).await?;
        Ok(due)
    }
    async fn timers(&self, page: &TimerPage<'_>) -> Result<Vec<Timer>, Fault> {
        let mut timers = self.inner.timers(page).await?;
        self.open(commands(&mut timers)).await?;
        Ok(timers)
    }
    async fn timer_counts(&self, limit: usize) -> Result<TimerCounts, Fault> {
        self.inner.timer_counts(limit).await
    }
    async fn migrate(&self) -> Result<(), Fault> {
        self.inner.migrate().await
    }
    async fn commit(&self, mut batch: Batch) -> Result<Position, CommitError> {
        seal(&mut batch, &self.keys, &self.indexes).await?;
        self.inner.commit(batch).await.map_err(|error| self.indexes.without_value(error))
    }
    async fn begin(&self) -> Result<Box<dyn Tx>, Fault> {
        let (keys, indexes) = (self.keys.clone(), self.indexes.clone());
        Ok(Box::new(SealedTx { inner: self.inner.begin().await?, keys, indexes }))
    }
    async fn decrypt(&self, entries: &mut [Entry]) -> Result<(), Fault> {
        self.open(events(entries)).await
    }
    async fn prepare_keys(&self, batch: &mut Batch) -> Result<(), Fault> {
        sealing::read_keys(batch, &self.keys).await.map(drop)
    }
    fn key_store(&self) -> Option<Arc<dyn KeyStore>> {
        self.inner.key_store()
    }
    async fn wait_for_commit(&self, after: Position) {
        self.inner.wait_for_commit(after).await;
    }
    async fn ready(&self) -> Result<(), Fault> {
        self.inner.ready().await
    }
    async fn stats(&self) -> Result<DatabaseStats, Fault> {
        self.inner.stats().await
    }
}

/// A transaction whose batch is encrypted.
struct SealedTx {
    inner: Box<dyn Tx>,
    keys: Arc<SubjectKeys>,
    indexes: Arc<PersonalIndexes>,
}
#[async_trait]
impl Tx for SealedTx {
    fn driver(&mut self) -> &mut (dyn Any + Send) {
        self.inner.driver()
    }
    async fn commit(self: Box<Self>, mut batch: Batch) -> Result<Position, CommitError> {
        let SealedTx { inner, keys, indexes } = *self;
        seal(&mut batch, &keys, &indexes).await?;
        inner.commit(batch).await.map_err(|error| indexes.without_value(error))
    }
}
