//! A database, as the framework sees it: few reads, and one write.
mod check;
mod memory;
mod parked;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod vitals;

pub use check::check;
pub use memory::Memory;
pub use parked::{Old, Parked, ParkedKey, Seen};
#[cfg(feature = "postgres")]
pub use postgres::Postgres;
#[cfg(feature = "sqlite")]
pub use sqlite::Sqlite;
pub use vitals::{Connections, Holder, Vitals};

use crate::{
    Fault,
    batch::{Answer, Batch, Entry, Position, Rejected},
};
use async_trait::async_trait;
use std::{any::Any, time::Duration};
use uuid::Uuid;

/// A database, as the framework sees it. What one promises, all promise:
/// [`conformance::storage`](crate::testing::conformance::storage) is the suite.
///
/// Reads see what is committed. `log` and `lanes` stop at the *horizon*: below it nothing can appear any more, so a reader
/// that moves along it misses nothing.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// Loads one row, and the answer to an idempotency key in the same round trip.
    async fn row(&self, kind: &str, id: &str, answer: Option<&str>) -> Result<Loaded<StoredRow>, Fault>;
    /// Loads one stream after a version, in order, and the answer in the same round trip.
    async fn stream(&self, stream: &str, after: u64, answer: Option<&str>) -> Result<Loaded<Vec<Entry>>, Fault>;
    /// What a command with this key was answered.
    async fn answer(&self, key: &str) -> Result<Option<Answer>, Fault>;
    /// Which of these messages the group has handled (or parked), and behind which of these keys something is parked for it.
    async fn seen(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<Seen, Fault>;
    /// The keys that have parked messages for these readers (none named: for all), by reader and key.
    async fn parked_keys(&self, readers: &[String]) -> Result<Vec<ParkedKey>, Fault>;
    /// The parked messages of one key after a number, in order, up to `limit`.
    async fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault>;
    /// Removes what is old enough, at most `limit` of each kind, and says how much it was. The database's clock decides.
    async fn forget(&self, old: &Old, limit: usize) -> Result<u64, Fault>;
    /// The values of one view under these keys, in any order; absent keys are left out, removed ones have no value.
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault>;
    /// A range of one index, in order, with the values.
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault>;
    /// Where these readers are, in this order; 0 for one that never moved.
    async fn positions(&self, readers: &[String]) -> Result<Vec<u64>, Fault>;
    /// Up to where the log is safe to read now: everything committed before this call is at or below the result.
    async fn horizon(&self) -> Result<Position, Fault>;
    /// Entries after a position, in order, up to `upto`, which the caller took from [`horizon`](Storage::horizon).
    async fn log(&self, after: Position, upto: Position, limit: usize) -> Result<Vec<Entry>, Fault>;
    /// Entries that others are told of, lane by lane: for each (lane, after) up to `limit` in order, up to `upto`.
    async fn lanes(&self, lanes: &[(u16, Position)], upto: Position, limit: usize) -> Result<Vec<Entry>, Fault>;
    /// Whether no other process can open this database: then nobody needs leases.
    fn is_exclusive(&self) -> bool {
        false
    }
    /// Takes or renews the lease on a reader. `None` when another owner holds it. Taking it over raises the epoch, renewing
    /// does not. The database's clock decides.
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault>;
    /// Gives a lease back, so that the next owner need not wait.
    async fn release(&self, reader: &str, owner: &str) -> Result<(), Fault>;
    /// Brings the schema up to this version of the framework.
    ///
    /// # Errors
    /// When the schema is newer than this program: it refuses, clearly, and changes nothing.
    async fn migrate(&self) -> Result<(), Fault>;
    /// All of it, durably, or nothing. The position is that of the last event, or 0 without events.
    async fn commit(&self, batch: Batch) -> Result<Position, Rejected>;
    /// A transaction for SQL of one's own, which then takes the batch.
    async fn begin(&self) -> Result<Box<dyn Tx>, Fault>;
    /// Returns once this process has committed events after `after`; may wait for ever. A hint, never needed for correctness.
    async fn committed(&self, after: Position);
    /// Whether it answers, and has at least the schema that this program knows: asked by whoever wants to know if it is ready.
    async fn ready(&self) -> Result<(), Fault> {
        self.positions(&["ready".to_owned()]).await.map(drop)
    }
    /// What only the database knows of itself, for metrics.
    async fn vitals(&self) -> Result<Vitals, Fault> {
        Ok(Vitals::default())
    }
}

/// An open transaction: SQL of one's own first, then the batch, then committed.
#[async_trait]
pub trait Tx: Send {
    /// The driver's transaction, for `storage::postgres::transaction` or `storage::sqlite::transaction`.
    fn driver(&mut self) -> &mut (dyn Any + Send);
    /// Commits the batch with what was done before, or nothing at all.
    async fn commit(self: Box<Self>, batch: Batch) -> Result<Position, Rejected>;
}

/// What was found, and the answer that was asked for beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded<T> {
    /// What was asked for. A row: version 0 and no state when there is none.
    pub found: T,
    /// The answer to the idempotency key, if there is one.
    pub answer: Option<Answer>,
}

/// A row as it is stored. Version 0: there is none. Without state: deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredRow {
    /// Its version.
    pub version: u64,
    /// Its state.
    pub state: Option<Vec<u8>>,
}

/// A view's value as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredView {
    /// The key.
    pub key: String,
    /// Its version, to be expected by the next write.
    pub version: u64,
    /// The value; `None` when removed.
    pub value: Option<Vec<u8>>,
}

/// A range of one index of one view: entries that start with `prefix`, after `after` if given.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    /// The view.
    pub view: &'a str,
    /// The index.
    pub index: &'a str,
    /// What an entry starts with.
    pub prefix: &'a [u8],
    /// The (entry, key) before the first one wanted.
    pub after: Option<(&'a [u8], &'a str)>,
    /// How many at most.
    pub limit: usize,
}

/// One entry of an index, with the value it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// The view's key.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
}

/// A lease on a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Raised with every change of owner; every move carries it.
    pub epoch: u64,
    /// Where the reader is.
    pub position: Position,
}

/// Number of lanes: fixed, since `murmur2(key) mod 16` is stored with every entry.
pub const LANES: u16 = 16;
