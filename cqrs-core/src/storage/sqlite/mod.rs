//! Storage in SQLite: one file per service, with one writer that commits queued batches in groups and a few readers.
mod archive;
mod commit;
mod keys;
mod migrate;
mod private;
mod purge;
mod read;
mod timer;
mod unique;
mod view_copy;
mod view_write;
mod writer;

use crate::{
    environment::{Environment, system},
    error::Fault,
    event::{Entry, StreamEvent},
    position::Position,
    storage::batch::{Batch, CommitError, StoredResponse},
    storage::check::{self, check},
    storage::parked::{Cutoff, InboxLookup, Parked, ParkedKey, ParkedPage},
    storage::{
        ArchiveRange, Archived, ComparedValues, CountedEntries, DueTimers, Firing, KeyStore, Lease, Loaded,
        OutgoingRange, ReadLimit, Scan, Scanned, SnapshotAndEvents, Storage, StoredData, StoredProgram, StoredRow,
        StoredValues, StoredView, Timer, TimerCounts, TimerPage, Tx, ValueReservation, ViewSwitch,
    },
};
use async_trait::async_trait;
use sqlx::{
    Row, SqliteConnection, SqlitePool, query,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;
use writer::{Job, Loan, Lock};

#[doc(hidden)]
pub use read::RANGES_OF_INDEX;

/// The number of read connections. Reads in SQLite are short and run in this process, so a few are enough.
const READERS: u32 = 4;
/// The number of rows that the thread of a read connection reads ahead of the caller. With fewer, a large read would switch between
/// the threads again and again. A caller collects all rows of a read, so they take no more memory.
const ROWS_AHEAD: usize = 1024;
/// The number of queued commits from which callers wait for a place in the queue.
const QUEUE: usize = 1024;
/// The time to wait for another holder of SQLite's own lock, such as a backup or the shell.
const BUSY: Duration = Duration::from_secs(5);

/// A SQLite database in one file. A clone is another handle on the same connections.
///
/// A commit is durable when it returns (WAL, `synchronous=FULL`). Commits that arrive while one is running share the
/// next sync to disk.
#[derive(Clone)]
pub struct Sqlite {
    path: Arc<Path>,
    reads: SqlitePool,
    writes: mpsc::Sender<Job>,
    /// The last position this process has committed.
    last: Arc<watch::Sender<u64>>,
}

impl Sqlite {
    /// Opens the file, and creates it and its directory if they are missing. Only the owner can read them. Call [`migrate`](Storage::migrate) before
    /// anything else.
    ///
    /// # Errors
    /// Returns an error if another process has the file open, or if it cannot be opened.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Fault> {
        Sqlite::open_with(path, system()).await
    }
    /// Opens the file as [`open`](Sqlite::open) does, with the environment that runs its tasks and waits.
    ///
    /// # Errors
    /// Returns an error in the same cases as [`open`](Sqlite::open).
    pub async fn open_with(path: impl AsRef<Path>, environment: Arc<dyn Environment>) -> Result<Self, Fault> {
        let path: Arc<Path> = PathBuf::from(path.as_ref()).into();
        let lock = Lock::take(&path, &*environment).await?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(false)
            .busy_timeout(BUSY);
        let last = Arc::new(watch::Sender::new(0));
        let (writes, queue) = mpsc::channel(QUEUE);
        let writer = writer::Writer::start(options, lock, queue, last.clone()).await?;
        environment.spawn(Box::pin(writer.run()));
        let reads = SqlitePoolOptions::new()
            .max_connections(READERS)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(
                SqliteConnectOptions::new()
                    .filename(&path)
                    .read_only(true)
                    .busy_timeout(BUSY)
                    .row_buffer_size(ROWS_AHEAD),
            );
        Ok(Sqlite { path, reads, writes, last })
    }
    /// Closes the file for every handle. Queued batches are committed first, and later calls are refused.
    pub async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.writes.send(Job::Close(reply)).await.is_ok() {
            let _ = closed.await;
        }
        self.reads.close().await;
    }
    async fn lend(&self) -> Result<Loan, Fault> {
        let (reply, lent) = oneshot::channel();
        self.writes.send(Job::Lend(reply)).await.map_err(|_| self.stopped())?;
        lent.await.map_err(|_| self.stopped())?
    }
    /// The error when the writer has ended: by `close`, or with the runtime in which the file was opened.
    fn stopped(&self) -> Fault {
        Fault::unavailable(format!("{} is closed", self.path.display()))
    }
}
impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sqlite({})", self.path.display())
    }
}

/// Returns the connection of a transaction that [`Sqlite`] began. It is already inside `begin immediate`, and every
/// other commit waits until the transaction is committed or dropped.
///
/// # Panics
/// Panics if another storage began the transaction.
pub fn transaction(tx: &mut dyn Tx) -> &mut SqliteConnection {
    tx.driver().downcast_mut().expect("the transaction was begun by a SQLite storage")
}

#[async_trait]
impl Storage for Sqlite {
    fn is_exclusive(&self) -> bool {
        true
    }
    async fn row(&self, kind: &str, id: &str, response: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        check::key(id, response)?;
        read::row(&self.reads, kind, id, response).await.map_err(fault)
    }
    async fn stream(
        &self,
        stream: &str,
        after: u64,
        response: Option<&str>,
    ) -> Result<Loaded<Vec<StreamEvent>>, Fault> {
        check::key(stream, response)?;
        read::stream(&self.reads, stream, after, response).await.map_err(fault)
    }
    async fn snapshot(
        &self,
        kind: &str,
        id: &str,
        form: i64,
        response: Option<&str>,
    ) -> Result<Loaded<SnapshotAndEvents>, Fault> {
        check::key(id, response)?;
        read::snapshot(&self.reads, kind, id, form, response).await.map_err(fault)
    }
    async fn stream_page(&self, stream: &str, after: u64, limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        check::key(stream, None)?;
        read::stream_page(&self.reads, stream, after, limit).await.map_err(fault)
    }
    async fn response(&self, key: &str) -> Result<Option<StoredResponse>, Fault> {
        check::key(key, None)?;
        read::response(&self.reads, key).await.map_err(fault)
    }
    async fn lookup_inbox(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<InboxLookup, Fault> {
        read::lookup_inbox(&self.reads, group, messages, keys).await.map_err(fault)
    }
    async fn parked_keys(&self, page: &ParkedPage<'_>) -> Result<Vec<ParkedKey>, Fault> {
        check::page(page)?;
        read::parked_keys(&self.reads, page).await.map_err(fault)
    }
    async fn first_parked(&self, reader: &str, keys: &[String]) -> Result<Vec<(String, String)>, Fault> {
        read::first_parked(&self.reads, reader, keys).await.map_err(fault)
    }
    async fn parked_counts(&self, limit: usize) -> Result<Vec<(String, u64)>, Fault> {
        read::parked_counts(&self.reads, limit).await.map_err(fault)
    }
    async fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault> {
        read::parked(&self.reads, reader, key, after, limit).await.map_err(fault)
    }
    async fn purge(&self, old: &Cutoff, limit: usize) -> Result<u64, Fault> {
        let mut loan = self.lend().await?;
        let gone = purge::purge(loan.connection(), old, limit).await.map_err(fault)?;
        loan.finish(Batch::default()).await.map_err(unrejected)?;
        Ok(gone)
    }
    async fn archive(&self, range: &ArchiveRange, limit: usize) -> Result<Archived, Fault> {
        let mut loan = self.lend().await?;
        let archived = archive::archive(loan.connection(), range, limit).await.map_err(fault)?;
        loan.finish(Batch::default()).await.map_err(unrejected)?;
        Ok(archived)
    }
    async fn checkpoints_below(&self, prefix: &str) -> Result<Vec<(String, u64)>, Fault> {
        view_copy::checkpoints_below(&self.reads, prefix).await.map_err(fault)
    }
    async fn serving_copy(&self, view: &str) -> Result<u64, Fault> {
        view_copy::serving(&self.reads, view).await.map_err(fault)
    }
    async fn switch_view(&self, switch: &ViewSwitch) -> Result<bool, Fault> {
        let mut loan = self.lend().await?;
        // A refused switch has changed nothing.
        let switched = view_copy::switch(loan.connection(), switch).await.map_err(fault)?;
        loan.finish(Batch::default()).await.map_err(unrejected)?;
        Ok(switched)
    }
    async fn compare_copies(
        &self,
        copies: [&str; 2],
        readers: [&[String]; 2],
        after: Option<&str>,
        limit: usize,
    ) -> Result<ComparedValues, Fault> {
        view_copy::compare(&self.reads, copies, readers, after, limit).await.map_err(fault)
    }
    async fn drop_copy(&self, view: &str, copy: u64, readers: &[String], limit: usize) -> Result<u64, Fault> {
        let mut loan = self.lend().await?;
        let dropped = view_copy::drop_some(loan.connection(), view, copy, readers, limit).await.map_err(fault)?;
        loan.finish(Batch::default()).await.map_err(unrejected)?;
        dropped.ok_or_else(|| Fault::internal(format!("copy {copy} of view {view} serves, and cannot be dropped")))
    }
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        check::keys(keys)?;
        read::views(&self.reads, view, keys).await.map_err(fault)
    }
    async fn view_values_after(
        &self,
        stored: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredView>, Fault> {
        read::view_values_after(&self.reads, stored, after, limit).await.map_err(fault)
    }
    async fn views_of_other_index_sets(
        &self,
        view: &str,
        index_sets: &[i64],
        limit: usize,
    ) -> Result<Vec<StoredView>, Fault> {
        read::views_of_other_index_sets(&self.reads, view, index_sets, limit).await.map_err(fault)
    }
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        check::range(scan)?;
        read::scan(&self.reads, scan).await.map_err(fault)
    }
    async fn count_entries(&self, scan: &Scan<'_>) -> Result<u64, Fault> {
        check::range(scan)?;
        read::count_entries(&self.reads, scan).await.map_err(fault)
    }
    async fn checkpoints(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        read::checkpoints(&self.reads, readers).await.map_err(fault)
    }
    async fn high_water_mark(&self) -> Result<Position, Fault> {
        read::high_water_mark(&self.reads).await.map_err(fault)
    }
    async fn log(&self, after: Position, upto: Position, limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        read::log(&self.reads, after, upto, limit).await.map_err(fault)
    }
    async fn log_of(
        &self,
        names: &[&str],
        after: Position,
        upto: Position,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        read::log_of(&self.reads, names, after, upto, limit).await.map_err(fault)
    }
    async fn count_log(
        &self,
        counted: CountedEntries<'_>,
        after: Position,
        upto: Position,
        limit: usize,
    ) -> Result<u64, Fault> {
        read::count_log(&self.reads, counted, after, upto, limit).await.map_err(fault)
    }
    async fn outgoing_entries(
        &self,
        shards: &[(u16, Position)],
        upto: Position,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        read::outgoing_entries(&self.reads, shards, upto, limit).await.map_err(fault)
    }
    async fn outgoing_entries_of(&self, ranges: &[OutgoingRange<'_>], limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        read::outgoing_entries_of(&self.reads, ranges, limit).await.map_err(fault)
    }
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        let mut loan = self.lend().await?;
        let sql = "insert into cqrs_reader (reader, checkpoint, epoch, owner, expires)
            values (?1, 0, 1, ?2, cast(unixepoch('subsec') * 1000000 as integer) + ?3)
            on conflict (reader) do update set epoch = cqrs_reader.epoch + (cqrs_reader.owner is not excluded.owner),
                owner = excluded.owner, expires = excluded.expires
            where cqrs_reader.owner is null or cqrs_reader.owner = excluded.owner
                or cqrs_reader.expires <= cast(unixepoch('subsec') * 1000000 as integer)
            returning epoch, checkpoint";
        let ttl = i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX / 2).min(i64::MAX / 2);
        let taken = query(sql).bind(reader.to_owned()).bind(owner.to_owned()).bind(ttl);
        let Some(row) = taken.fetch_optional(loan.connection()).await.map_err(fault)? else { return Ok(None) };
        let lease =
            Lease { epoch: number(&row, 0).map_err(fault)?, position: Position(number(&row, 1).map_err(fault)?) };
        loan.finish(Batch::default()).await.map_err(unrejected)?;
        Ok(Some(lease))
    }
    async fn release(&self, reader: &str, owner: &str) -> Result<(), Fault> {
        let mut loan = self.lend().await?;
        let released = query("update cqrs_reader set owner = null, expires = null where reader = ? and owner = ?");
        released.bind(reader.to_owned()).bind(owner.to_owned()).execute(loan.connection()).await.map_err(fault)?;
        loan.finish(Batch::default()).await.map_err(unrejected)?;
        Ok(())
    }
    async fn left_to_newer_program(&self, limit: usize) -> Result<Vec<(String, String)>, Fault> {
        read::left_to_newer_program(&self.reads, limit).await.map_err(fault)
    }
    async fn replace_parked_error(&self, number: u64, expected: &str, error: &str) -> Result<bool, Fault> {
        check::text("the error", error)?;
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let mut loan = self.lend().await?;
        let replace = query("update cqrs_parked set error = ?3 where seq = ?1 and error = ?2");
        let replace = replace.bind(number).bind(expected.to_owned()).bind(error.to_owned());
        let done = replace.execute(loan.connection()).await.map_err(fault)?;
        loan.finish(Batch::default()).await.map_err(unrejected)?;
        Ok(done.rows_affected() > 0)
    }
    async fn declare_program(&self, declaration: &str) -> Result<(u64, Duration), Fault> {
        let mut loan = self.lend().await?;
        let sql = "insert into cqrs_program (declaration) values (?) on conflict (declaration)
            do update set last_started = cast(unixepoch('subsec') * 1000000 as integer) returning number";
        let row = query(sql).bind(declaration.to_owned()).fetch_one(loan.connection()).await.map_err(fault)?;
        let declared = number(&row, 0).map_err(fault)?;
        loan.finish(Batch::default()).await.map_err(unrejected)?;
        // No other process has the file open, so nobody has to notice the program.
        Ok((declared, Duration::MAX))
    }
    async fn programs(&self, after: u64) -> Result<Vec<StoredProgram>, Fault> {
        read::programs(&self.reads, after).await.map_err(fault)
    }
    async fn holds(&self, data: &StoredData) -> Result<bool, Fault> {
        read::holds(&self.reads, data).await.map_err(fault)
    }
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        read::notes(&self.reads, prefix).await.map_err(fault)
    }
    async fn replace_note(&self, name: &str, expected: Option<&str>, value: Option<&str>) -> Result<bool, Fault> {
        let mut loan = self.lend().await?;
        let found = query("select value from cqrs_note where name = ?").bind(name.to_owned());
        let found = found.fetch_optional(loan.connection()).await.map_err(fault)?;
        let found = found.map(|row| row.try_get::<String, _>(0)).transpose().map_err(fault)?;
        if found.as_deref() != expected {
            return Ok(false);
        }
        let sql = match value {
            Some(_) => {
                "insert into cqrs_note (name, value) values (?1, ?2) on conflict (name) do update set value = ?2"
            }
            None => "delete from cqrs_note where name = ?1",
        };
        let mut write = query(sql).bind(name.to_owned());
        if let Some(value) = value {
            write = write.bind(value.to_owned());
        }
        write.execute(loan.connection()).await.map_err(fault)?;
        loan.finish(Batch::default()).await.map_err(unrejected)?;
        Ok(true)
    }
    async fn rows_after(
        &self,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, StoredRow)>, Fault> {
        unique::rows_after(&self.reads, kind, after, limit).await.map_err(fault)
    }
    async fn streams_after(
        &self,
        kind: &str,
        after: Option<(&str, u64)>,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        unique::streams_after(&self.reads, kind, after, limit).await.map_err(fault)
    }
    async fn reserve_stored(&self, values: &StoredValues) -> Result<Vec<ValueReservation>, Fault> {
        let mut loan = self.lend().await?;
        let reserved = unique::reserve_stored(loan.connection(), values).await.map_err(fault)?;
        loan.finish(Batch::default()).await.map_err(unrejected)?;
        Ok(reserved)
    }
    async fn unreserved(&self, index: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
        unique::unreserved(&self.reads, index, after, limit).await.map_err(fault)
    }
    async fn due_timers(&self, after: Option<Firing>, limit: usize) -> Result<DueTimers, Fault> {
        timer::due(&self.reads, after, limit).await.map_err(fault)
    }
    async fn timers(&self, page: &TimerPage<'_>) -> Result<Vec<Timer>, Fault> {
        check::timers(page)?;
        timer::page(&self.reads, page).await.map_err(fault)
    }
    async fn timer_counts(&self, limit: usize) -> Result<TimerCounts, Fault> {
        timer::counts(&self.reads, limit).await.map_err(fault)
    }
    async fn migrate(&self) -> Result<(), Fault> {
        let mut loan = self.lend().await?;
        migrate::migrate(loan.connection()).await?;
        loan.finish(Batch::default()).await.map_err(unrejected)?;
        Ok(())
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        check(&batch)?;
        let (reply, result) = oneshot::channel();
        self.writes.send(Job::Commit(batch, reply)).await.map_err(|_| self.stopped())?;
        result
            .await
            .map_err(|_| Fault::outcome_unknown(format!("{} was closed during a commit", self.path.display())))?
    }
    async fn begin(&self) -> Result<Box<dyn Tx>, Fault> {
        Ok(Box::new(self.lend().await?))
    }
    fn key_store(&self) -> Option<Arc<dyn KeyStore>> {
        Some(Arc::new(self.clone()))
    }
    async fn wait_for_commit(&self, after: Position) {
        // The wait cannot fail, since the sender lives as long as this handle.
        let _ = self.last.subscribe().wait_for(|last| *last > after.0).await;
    }
}

/// Reads a number. It was checked before it was stored, so it is not negative.
fn number(row: &sqlx::sqlite::SqliteRow, column: usize) -> sqlx::Result<u64> {
    row.try_get::<i64, _>(column).map(|number| number as u64)
}

/// Converts the result of committing an empty batch, which cannot be refused.
fn unrejected(rejected: CommitError) -> Fault {
    match rejected {
        CommitError::Fault(fault) => fault,
        other => Fault::internal("an empty batch was refused").because(other),
    }
}

/// Maps SQLite's errors to faults. A busy database, a full disk and I/O errors are transient.
fn fault(error: sqlx::Error) -> Fault {
    /// `SQLITE_BUSY`, `LOCKED`, `NOMEM`, `IOERR`, `FULL`, `CANTOPEN`: the low byte of the extended code.
    const TRANSIENT: [i32; 6] = [5, 6, 7, 10, 13, 14];
    let Some(database) = error.as_database_error() else {
        return Fault::unavailable("the database cannot be reached").because(error);
    };
    if database.message().contains("no such table") {
        return Fault::internal("the database has no schema yet: call `migrate` first").because(error);
    }
    let code = database.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or_default();
    match TRANSIENT.contains(&(code & 0xff)) {
        true => Fault::unavailable("the database cannot be used at the moment").because(error),
        false => Fault::internal("the database refused a statement").because(error),
    }
}
