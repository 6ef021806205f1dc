//! The storage interface, a few reads and one write, and its implementations.
mod archive;
pub(crate) mod batch;
mod check;
pub(crate) mod identity;
mod key_store;
mod limit;
mod memory;
mod parked;
#[cfg(feature = "postgres")]
pub mod postgres;
mod program;
mod recent_log;
#[cfg(feature = "redis")]
mod redis;
mod serving_copies;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod stats;
pub(crate) mod timer;
mod unique;
mod view_copy;
mod view_store;

pub use archive::{ArchiveRange, Archived};
pub use batch::{
    Batch, CheckpointMove, CommitError, InboxRecord, Park, ReadVersion, Reservation, Row, Snapshot, StoredResponse,
    ViewWrite,
};
pub use check::check;
pub(crate) use check::value as check_value;
pub use identity::ForeignDatabase;
pub(crate) use identity::database_epoch;
pub use key_store::{KeyStore, StoredKey, WrappedKey};
pub use limit::ReadLimit;
pub use memory::Memory;
pub use parked::{Cutoff, InboxLookup, LEFT_TO_NEWER_PROGRAM, Parked, ParkedKey, ParkedPage};
#[cfg(feature = "postgres")]
pub use postgres::Postgres;
pub use program::{StoredData, StoredProgram};
pub(crate) use recent_log::{Reading, RecentLog};
#[cfg(feature = "redis")]
pub use redis::Redis;
pub(crate) use serving_copies::ServingCopies;
#[cfg(feature = "sqlite")]
pub use sqlite::Sqlite;
pub use stats::{Connections, DatabaseStats, OldestWriter};
pub use timer::{
    DueTime, DueTimers, Firing, NewTimer, Timer, TimerChange, TimerCounts, TimerPage, TimerState, TimerWrite,
};
pub use unique::{StoredValues, ValueOwner, ValueReservation};
pub use view_copy::{ComparedValues, DifferentValues, SwitchedReader, ViewSwitch};
pub(crate) use view_copy::{SEPARATOR as COPY_SEPARATOR, copy_of, is_copy, split_copy, stored_as};
pub use view_store::{ViewBatch, ViewChange, ViewRead, ViewStore};

use crate::{
    error::Fault,
    event::{Entry, StreamEvent},
    position::Position,
};
use async_trait::async_trait;
use std::{any::Any, sync::Arc, time::Duration};
use uuid::Uuid;

/// A database for the framework. All implementations give the same guarantees, which the suite
/// [`conformance::storage`](crate::testing::conformance::storage) tests.
///
/// Reads see committed data. [`log`](Storage::log) and [`outgoing_entries`](Storage::outgoing_entries) stop at the
/// *high-water mark*. No entry can appear below it any more, so a reader that follows it misses nothing.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// Loads one row, and in the same round trip the response stored under an idempotency key.
    async fn row(&self, kind: &str, id: &str, response: Option<&str>) -> Result<Loaded<StoredRow>, Fault>;
    /// Loads the events of one stream after a version, in order, and in the same round trip the response stored under
    /// an idempotency key.
    async fn stream(&self, stream: &str, after: u64, response: Option<&str>)
    -> Result<Loaded<Vec<StreamEvent>>, Fault>;
    /// Loads the snapshot of one event-sourced aggregate and the events after it, in order, and in the same round trip the
    /// response stored under an idempotency key.
    ///
    /// A snapshot of another form is left out, and so is one that does not belong to the stream: the event at its version
    /// has another id, or there is none. Without a snapshot these are all events.
    async fn snapshot(
        &self,
        kind: &str,
        id: &str,
        form: i64,
        response: Option<&str>,
    ) -> Result<Loaded<SnapshotAndEvents>, Fault>;
    /// Returns the whole entries of one stream after a version, in order, up to the limit.
    async fn stream_page(&self, stream: &str, after: u64, limit: ReadLimit) -> Result<Vec<Entry>, Fault>;
    /// Returns the response stored under an idempotency key.
    async fn response(&self, key: &str) -> Result<Option<StoredResponse>, Fault>;
    /// Returns which of these messages the group has handled or parked, and for which of these keys it has parked
    /// messages.
    async fn lookup_inbox(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<InboxLookup, Fault>;
    /// Returns a page of the keys with parked messages, sorted by reader and key. The cost does not grow with the keys of
    /// other pages.
    async fn parked_keys(&self, page: &ParkedPage<'_>) -> Result<Vec<ParkedKey>, Fault>;
    /// Returns which of these keys have parked messages of the reader, in any order, each with the error of its first
    /// message. The cost does not grow with the number of other parked messages.
    async fn first_parked(&self, reader: &str, keys: &[String]) -> Result<Vec<(String, String)>, Fault>;
    /// Returns the readers with parked messages, each with their number, counted up to `limit`.
    async fn parked_counts(&self, limit: usize) -> Result<Vec<(String, u64)>, Fault>;
    /// Returns up to `limit` parked messages of one key after a number, in order.
    async fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault>;
    /// Returns up to `limit` keys whose first parked message waits for a newer program, each as (reader, key).
    async fn left_to_newer_program(&self, limit: usize) -> Result<Vec<(String, String)>, Fault>;
    /// Replaces the error of a parked message, if it is still `expected`. Returns whether it did. The place of the message
    /// among those of its key stays.
    async fn replace_parked_error(&self, number: u64, expected: &str, error: &str) -> Result<bool, Fault>;
    /// Removes data older than the cutoff, at most `limit` of each kind, and returns how much was removed. The age is
    /// measured by the database's clock.
    async fn purge(&self, old: &Cutoff, limit: usize) -> Result<u64, Fault>;
    /// Moves events of the range into the archive, among the first `limit` entries that are not archived. All reads find
    /// them there, with their positions.
    ///
    /// An event is moved if it is from before the time and has no outgoing message, if its stream has a later event, and if
    /// no load needs it: its aggregate has a row, or a snapshot with a higher version.
    async fn archive(&self, range: &ArchiveRange, limit: usize) -> Result<Archived, Fault>;
    /// Returns the number of the copy of a view that serves its reads; 0 before the first switch.
    ///
    /// Reads of a view by its own name resolve the copy in the same snapshot. `view~2` names copy 2, whichever serves.
    async fn serving_copy(&self, view: &str) -> Result<u64, Fault>;
    /// Switches a view to another copy, in one transaction. Returns `false`, and changes nothing, if another copy serves than
    /// the expected one, or if a filled checkpoint is behind the live one.
    ///
    /// Each live checkpoint becomes the filled one, its epoch becomes the number of the copy, and the kept reader gets the
    /// former place. So a batch for the former copy, which names its epoch, is refused from then on, and so is a move without
    /// an epoch, of a program that knows no copies. Parked messages move
    /// with their readers and get new numbers, in order, so a redelivery that has read them before the switch is refused.
    /// The live reader also gets the inbox records of the filled one. A move of the filled reader is refused until the copy is a
    /// kept one, because the live reader moves on in its place.
    async fn switch_view(&self, switch: &ViewSwitch) -> Result<bool, Fault>;
    /// Returns the values of two copies of a view under the next `limit` keys after a key, and the checkpoints of their
    /// readers, all in one snapshot. The copies have names as `view~2`. Keys whose values are removed count.
    async fn compare_copies(
        &self,
        copies: [&str; 2],
        readers: [&[String]; 2],
        after: Option<&str>,
        limit: usize,
    ) -> Result<ComparedValues, Fault>;
    /// Removes up to `limit` values of a copy of a view, with their index entries, and as many parked messages and inbox records
    /// of its readers. Returns how much was removed; 0 when nothing is left. The checkpoints of the readers, also those of
    /// partitions, are 0 afterwards, so that a late switch to the copy is refused.
    ///
    /// # Errors
    /// Fails if the copy serves.
    async fn drop_copy(&self, view: &str, copy: u64, readers: &[String], limit: usize) -> Result<u64, Fault>;
    /// Returns the values of one view under these keys, in any order. Absent keys are left out, and removed ones have
    /// no value.
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault>;
    /// Returns the values of one view under these keys as [`views`](Storage::views) does, with the checkpoints of these readers
    /// as [`checkpoints`](Storage::checkpoints) does. The values are at least as new as the checkpoints.
    async fn views_and_checkpoints(
        &self,
        view: &str,
        keys: &[String],
        readers: &[String],
    ) -> Result<(Vec<StoredView>, Vec<u64>), Fault> {
        // A database loses nothing that it has committed, so the values are at least as new as the checkpoints before them.
        let checkpoints = self.checkpoints(readers).await?;
        Ok((self.views(view, keys).await?, checkpoints))
    }
    /// Returns up to `limit` values of one copy of a view with a key after `after`, in the order of their keys, removed
    /// ones included. The name is that under which the copy is stored: the view's own name, or `view~2`.
    async fn view_values_after(
        &self,
        stored: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredView>, Fault>;
    /// Returns up to `limit` values of one view that were written with another set of indexes than these, removed ones
    /// included. The cost does not grow with the number of other values.
    async fn views_of_other_index_sets(
        &self,
        view: &str,
        index_sets: &[i64],
        limit: usize,
    ) -> Result<Vec<StoredView>, Fault>;
    /// Returns a range of one index in its order, or from its end on, with the values.
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault>;
    /// Returns the number of entries that [`scan`](Storage::scan) returns, without reading their values.
    async fn count_entries(&self, scan: &Scan<'_>) -> Result<u64, Fault>;
    /// Returns the checkpoints of these readers, in this order; 0 for a reader that never moved.
    async fn checkpoints(&self, readers: &[String]) -> Result<Vec<u64>, Fault>;
    /// Returns the readers whose names begin with `prefix`, each with its checkpoint, in the order of their names.
    async fn checkpoints_below(&self, prefix: &str) -> Result<Vec<(String, u64)>, Fault>;
    /// Returns the high-water mark: the position up to which the log is safe to read. Everything committed before this
    /// call is at or below it.
    async fn high_water_mark(&self) -> Result<Position, Fault>;
    /// Returns entries after a position and up to `upto`, in order, up to the limit. The caller takes `upto` from
    /// [`high_water_mark`](Storage::high_water_mark).
    async fn log(&self, after: Position, upto: Position, limit: ReadLimit) -> Result<Vec<Entry>, Fault>;
    /// Returns entries of events with these names after a position and up to `upto`, in order, up to the limit. A
    /// reader that is far behind skips the entries that it does not handle with it.
    async fn log_of(
        &self,
        names: &[&str],
        after: Position,
        upto: Position,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        let page_limit = ReadLimit { entries: 512, ..limit };
        let (mut found, mut from) = (Vec::new(), after);
        while !limit.is_reached_by(&found) {
            let page = self.log(from, upto, page_limit).await?;
            let (last, is_full) = (page.last().map(|last| last.position), page_limit.is_reached_by(&page));
            found.extend(page.into_iter().filter(|entry| names.contains(&&*entry.name)));
            let Some(last) = last.filter(|_| is_full) else { break };
            from = last;
        }
        Ok(limit.take(found))
    }
    /// Returns how many of the next `limit` entries after a position and up to `upto` are of this kind. It reads no payload.
    async fn count_log(
        &self,
        counted: CountedEntries<'_>,
        after: Position,
        upto: Position,
        limit: usize,
    ) -> Result<u64, Fault>;
    /// Returns entries with an outgoing message, without their payload. For each relay shard and the position after which
    /// to read, there are entries up to the limit, in order, up to the position `upto`.
    async fn outgoing_entries(
        &self,
        shards: &[(u16, Position)],
        upto: Position,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault>;
    /// Returns entries with an outgoing message to one topic, without their payload. For each range there are entries up to
    /// the limit, in order. A relay reads with it the messages of a topic that the broker refused for a time.
    async fn outgoing_entries_of(&self, ranges: &[OutgoingRange<'_>], limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        let page_limit = ReadLimit { entries: 512, ..limit };
        let mut all = Vec::new();
        for range in ranges {
            let (mut found, mut from) = (Vec::new(), range.after);
            while !limit.is_reached_by(&found) {
                let page = self.outgoing_entries(&[(range.shard, from)], range.upto, page_limit).await?;
                let (last, is_full) = (page.last().map(|last| last.position), page_limit.is_reached_by(&page));
                let is_of = |entry: &Entry| entry.outgoing.as_ref().is_some_and(|message| message.topic == range.topic);
                found.extend(page.into_iter().filter(is_of));
                let Some(last) = last.filter(|_| is_full) else { break };
                from = last;
            }
            all.extend(limit.take(found));
        }
        Ok(all)
    }
    /// Returns true if no other process can open this database, so that leases are not needed.
    fn is_exclusive(&self) -> bool {
        false
    }
    /// Takes or renews the lease on a reader. Returns `None` when another owner holds it. Taking it over raises the
    /// epoch, renewing it does not. Expiry is measured by the database's clock.
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault>;
    /// Takes or renews the leases on several readers, in this order. It does nothing to those that another owner holds.
    async fn leases(&self, readers: &[String], owner: &str, ttl: Duration) -> Result<Vec<Option<Lease>>, Fault> {
        let mut leases = Vec::with_capacity(readers.len());
        for reader in readers {
            leases.push(self.lease(reader, owner, ttl).await?);
        }
        Ok(leases)
    }
    /// Releases a lease, so that the next owner need not wait for it to expire.
    async fn release(&self, reader: &str, owner: &str) -> Result<(), Fault>;
    /// Stores the declaration of a program, unless it is stored already. Returns the program's number, which is higher for
    /// a later program, and the time since its first start by the database's clock.
    async fn declare_program(&self, declaration: &str) -> Result<(u64, Duration), Fault>;
    /// Returns the programs after a number, in the order of their first start.
    async fn programs(&self, after: u64) -> Result<Vec<StoredProgram>, Fault>;
    /// Returns whether the database has such data.
    async fn holds(&self, data: &StoredData) -> Result<bool, Fault>;
    /// Returns the notes whose name begins with `prefix`, each as (name, value), in the order of their names.
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault>;
    /// Stores or removes a note if its value is still `expected`, where `None` means that there is none. Returns whether
    /// it did.
    async fn replace_note(&self, name: &str, expected: Option<&str>, value: Option<&str>) -> Result<bool, Fault>;
    /// Returns up to `limit` rows of one kind of aggregates with an id after `after`, in the order of their ids, each as
    /// (id, row). Deleted ones are included.
    async fn rows_after(
        &self,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, StoredRow)>, Fault>;
    /// Returns the events of one kind of aggregates after a version of a stream, in the order of their streams and
    /// versions, up to the limit.
    async fn streams_after(
        &self,
        kind: &str,
        after: Option<(&str, u64)>,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault>;
    /// Makes the reservations of stored aggregates equal to their values: releases the other values that they hold in the
    /// index, and reserves theirs unless another aggregate holds them. An aggregate that has another version than the one
    /// that was read is left alone. Returns the results in the order of the aggregates.
    ///
    /// Aggregates whose values are not reserved are listed as [`unreserved`](Storage::unreserved), and the others are not.
    async fn reserve_stored(&self, values: &StoredValues) -> Result<Vec<ValueReservation>, Fault>;
    /// Returns up to `limit` streams of aggregates after one whose values in this unique index are not reserved, in order.
    async fn unreserved(&self, index: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault>;
    /// Returns up to `limit` timers that are due by the database's clock, after one of them, and the time of the first one that
    /// is not due yet. The cost does not grow with the number of timers that wait for their time.
    async fn due_timers(&self, after: Option<Firing>, limit: usize) -> Result<DueTimers, Fault>;
    /// Returns a page of the timers.
    async fn timers(&self, page: &TimerPage<'_>) -> Result<Vec<Timer>, Fault>;
    /// Returns the numbers of timers, each counted up to `limit`.
    async fn timer_counts(&self, limit: usize) -> Result<TimerCounts, Fault>;
    /// Migrates the schema to this version of the framework.
    ///
    /// # Errors
    /// Returns an error if the schema is newer than this program, and changes nothing.
    async fn migrate(&self) -> Result<(), Fault>;
    /// Commits the whole batch durably, or nothing. Returns the position of the last event, or 0 if the batch has no
    /// events. When the connection is lost after the batch was sent, the error is [`Fault::outcome_unknown`].
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError>;
    /// Begins a transaction that runs the caller's SQL first and then commits a batch.
    async fn begin(&self) -> Result<Box<dyn Tx>, Fault>;
    /// Decrypts the personal values in the payloads of entries from [`log`](Storage::log) and
    /// [`log_of`](Storage::log_of). Those two return them as they are stored, because a process keeps the newest
    /// entries in memory. A database knows no keys and does nothing.
    async fn decrypt(&self, entries: &mut [Entry]) -> Result<(), Fault> {
        let _ = entries;
        Ok(())
    }
    /// Creates the keys that the personal values of the batch need. A caller that commits the batch in a transaction
    /// calls it before the transaction begins, since a database with one writer could not store a key meanwhile. A
    /// database knows no keys and does nothing.
    async fn prepare_keys(&self, batch: &mut Batch) -> Result<(), Fault> {
        let _ = batch;
        Ok(())
    }
    /// Returns the store of subjects' keys in this database, if it has one.
    fn key_store(&self) -> Option<Arc<dyn KeyStore>> {
        None
    }
    /// Returns once this process has committed events after `after`. It may wait for ever. This is a hint, and
    /// correctness must not depend on it.
    async fn wait_for_commit(&self, after: Position);
    /// Checks that the database responds, that it accepts writes, and that its schema is at least the version that this
    /// program knows. The readiness check calls it. It does not wait for the connections of other calls.
    async fn ready(&self) -> Result<(), Fault> {
        self.checkpoints(&["ready".to_owned()]).await.map(drop)
    }
    /// Returns the database's own statistics, for metrics.
    async fn stats(&self) -> Result<DatabaseStats, Fault> {
        Ok(DatabaseStats::default())
    }
}

/// An open transaction, which runs the caller's SQL first and then commits a batch.
#[async_trait]
pub trait Tx: Send {
    /// Returns the driver's transaction, for `storage::postgres::transaction` or `storage::sqlite::transaction`.
    fn driver(&mut self) -> &mut (dyn Any + Send);
    /// Commits the batch together with the earlier statements of the transaction, or nothing at all.
    async fn commit(self: Box<Self>, batch: Batch) -> Result<Position, CommitError>;
}

/// The result of a load, with the stored response that was loaded beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded<T> {
    /// The row or the events. A row that does not exist has version 0 and no state.
    pub found: T,
    /// The response stored under the idempotency key, if there is one.
    pub response: Option<StoredResponse>,
}

/// The stored row of a state-stored aggregate. A row that does not exist has version 0, and a deleted one has no state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredRow {
    /// The version of the last write; 0 when there is no row.
    pub version: u64,
    /// The encoded state; `None` when deleted.
    pub state: Option<Vec<u8>>,
}

/// A snapshot that belongs to the stream, and the events after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotAndEvents {
    /// The snapshot, if there is one.
    pub snapshot: Option<StoredSnapshot>,
    /// The events after the snapshot's version, or all events, in order.
    pub events: Vec<StreamEvent>,
}
impl SnapshotAndEvents {
    /// Returns the version of the stream; 0 if it has no event.
    pub fn version(&self) -> u64 {
        let of_snapshot = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.version);
        self.events.last().map_or(of_snapshot, |last| last.version)
    }
}

/// The stored snapshot of an event-sourced aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// The version of the last event that the state includes.
    pub version: u64,
    /// The encoded state; `None` if the aggregate was deleted at this version.
    pub state: Option<Vec<u8>>,
}

/// The stored value of a view under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredView {
    /// The key of the value within its view.
    pub key: String,
    /// The version, which the next write must expect.
    pub version: u64,
    /// The value; `None` when removed.
    pub value: Option<Vec<u8>>,
}

/// A range of one index of one view. An index is sorted by the bytes of its entries, and equal entries by their keys.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    /// The view's name.
    pub view: &'a str,
    /// The index's name.
    pub index: &'a str,
    /// The first entry and key of the range. It need not exist.
    pub from: (&'a [u8], &'a str),
    /// The entry and key before which the range ends; `None` at the end of the index. A range that ends before it begins
    /// is empty.
    pub until: Option<(&'a [u8], &'a str)>,
    /// Whether the range is read from its end on.
    pub reversed: bool,
    /// The maximum number of entries.
    pub limit: usize,
}

/// The entries of the log that a reader has to handle, for a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountedEntries<'a> {
    /// Events with these names.
    Events(&'a [&'a str]),
    /// Entries with an outgoing message of this relay shard.
    Outgoing(u16),
}
impl CountedEntries<'_> {
    /// Returns whether an entry with this name, and with an outgoing message of this shard, is counted.
    pub(crate) fn contains(&self, name: &str, shard: Option<u16>) -> bool {
        match self {
            CountedEntries::Events(names) => names.contains(&name),
            CountedEntries::Outgoing(counted) => shard == Some(*counted),
        }
    }
    /// Returns the names and the shard as parameters of a statement.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn parameters(&self) -> (&[&str], Option<i16>) {
        match self {
            CountedEntries::Events(names) => (names, None),
            CountedEntries::Outgoing(shard) => (&[], Some(*shard as i16)),
        }
    }
}

/// The outgoing messages of one relay shard to one topic, in a range of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutgoingRange<'a> {
    /// The relay shard.
    pub shard: u16,
    /// The topic's name.
    pub topic: &'a str,
    /// The position after which the range begins.
    pub after: Position,
    /// The last position of the range.
    pub upto: Position,
}

/// One entry of an index, with the value that it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// The key of the value within its view.
    pub key: String,
    /// The encoded value.
    pub value: Vec<u8>,
}

/// A lease on a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The number of the lease, raised with every change of owner. Every checkpoint move carries it.
    pub epoch: u64,
    /// The reader's checkpoint.
    pub position: Position,
}
