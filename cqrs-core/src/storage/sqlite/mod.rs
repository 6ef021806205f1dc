//! SQLite: one file per service, one writer that commits what has queued up, a few readers beside it.
mod commit;
mod forget;
mod migrate;
mod read;
mod writer;

use crate::{
    Fault,
    batch::{Answer, Batch, Entry, Position, Rejected},
    storage::{Lease, Loaded, Old, Parked, ParkedKey, Scan, Scanned, Seen, Storage, StoredRow, StoredView, Tx, check},
    world::{World, machine},
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

/// Connections that read. SQLite reads are short and in this process, so a few are enough.
const READERS: u32 = 4;
/// Commits that wait before callers wait to be queued.
const QUEUE: usize = 1024;
/// How long a lock of SQLite's own (a backup, the shell) is waited for.
const BUSY: Duration = Duration::from_secs(5);

/// A SQLite database in one file. A clone is another handle on the same connections.
///
/// Durable when answered (WAL, `synchronous=FULL`). Commits that come while one is under way share the next one's sync.
#[derive(Clone)]
pub struct Sqlite {
    path: Arc<Path>,
    reads: SqlitePool,
    writes: mpsc::Sender<Job>,
    /// The last position this process has committed.
    last: Arc<watch::Sender<u64>>,
}

impl Sqlite {
    /// Opens the file and makes it if it is missing, with its directory. Call
    /// [`migrate`](Storage::migrate) before anything else.
    ///
    /// # Errors
    /// When another process has it open, or the file cannot be opened.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Fault> {
        Sqlite::open_with(path, machine()).await
    }
    /// Opens it with a world whose tasks and waits are used.
    ///
    /// # Errors
    /// As [`open`](Sqlite::open).
    pub async fn open_with(path: impl AsRef<Path>, world: Arc<dyn World>) -> Result<Self, Fault> {
        let path: Arc<Path> = PathBuf::from(path.as_ref()).into();
        let lock = Lock::take(&path, &*world).await?;
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
        world.spawn(Box::pin(writer.run()));
        let reads = SqlitePoolOptions::new()
            .max_connections(READERS)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(SqliteConnectOptions::new().filename(&path).read_only(true).busy_timeout(BUSY));
        Ok(Sqlite { path, reads, writes, last })
    }
    /// Closes the file for every handle: what is queued is committed first, what comes later is refused.
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
    /// The writer ends with the runtime it was opened in, or by `close`.
    fn stopped(&self) -> Fault {
        Fault::unavailable(format!("{} is closed", self.path.display()))
    }
}
impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sqlite({})", self.path.display())
    }
}

/// The connection of a transaction that [`Sqlite`] began. It is inside `begin immediate` already, and every other commit
/// waits until the transaction is committed or dropped.
///
/// # Panics
/// When the transaction is another storage's.
pub fn transaction(tx: &mut dyn Tx) -> &mut SqliteConnection {
    tx.driver().downcast_mut().expect("a transaction of SQLite")
}

#[async_trait]
impl Storage for Sqlite {
    fn is_exclusive(&self) -> bool {
        true
    }
    async fn row(&self, kind: &str, id: &str, answer: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        read::row(&self.reads, kind, id, answer).await.map_err(fault)
    }
    async fn stream(&self, stream: &str, after: u64, answer: Option<&str>) -> Result<Loaded<Vec<Entry>>, Fault> {
        read::stream(&self.reads, stream, after, answer).await.map_err(fault)
    }
    async fn answer(&self, key: &str) -> Result<Option<Answer>, Fault> {
        read::answer(&self.reads, key).await.map_err(fault)
    }
    async fn seen(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<Seen, Fault> {
        read::seen(&self.reads, group, messages, keys).await.map_err(fault)
    }
    async fn parked_keys(&self, readers: &[String]) -> Result<Vec<ParkedKey>, Fault> {
        read::parked_keys(&self.reads, readers).await.map_err(fault)
    }
    async fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault> {
        read::parked(&self.reads, reader, key, after, limit).await.map_err(fault)
    }
    async fn forget(&self, old: &Old, limit: usize) -> Result<u64, Fault> {
        let mut loan = self.lend().await?;
        let gone = forget::forget(loan.connection(), old, limit).await.map_err(fault)?;
        loan.finish(Batch::default()).await.map_err(unrejected)?;
        Ok(gone)
    }
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        read::views(&self.reads, view, keys).await.map_err(fault)
    }
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        read::scan(&self.reads, scan).await.map_err(fault)
    }
    async fn positions(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        read::positions(&self.reads, readers).await.map_err(fault)
    }
    async fn horizon(&self) -> Result<Position, Fault> {
        read::horizon(&self.reads).await.map_err(fault)
    }
    async fn log(&self, after: Position, upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        read::log(&self.reads, after, upto, limit).await.map_err(fault)
    }
    async fn lanes(&self, lanes: &[(u16, Position)], upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        read::lanes(&self.reads, lanes, upto, limit).await.map_err(fault)
    }
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        let mut loan = self.lend().await?;
        let sql = "insert into cqrs_reader (reader, at, epoch, owner, expires)
            values (?1, 0, 1, ?2, cast(unixepoch('subsec') * 1000000 as integer) + ?3)
            on conflict (reader) do update set epoch = cqrs_reader.epoch + (cqrs_reader.owner is not excluded.owner),
                owner = excluded.owner, expires = excluded.expires
            where cqrs_reader.owner is null or cqrs_reader.owner = excluded.owner
                or cqrs_reader.expires <= cast(unixepoch('subsec') * 1000000 as integer)
            returning epoch, at";
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
    async fn migrate(&self) -> Result<(), Fault> {
        let mut loan = self.lend().await?;
        migrate::migrate(loan.connection()).await?;
        loan.finish(Batch::default()).await.map_err(unrejected)?;
        Ok(())
    }
    async fn commit(&self, batch: Batch) -> Result<Position, Rejected> {
        check(&batch)?;
        let (reply, verdict) = oneshot::channel();
        self.writes.send(Job::Commit(batch, reply)).await.map_err(|_| self.stopped())?;
        verdict.await.map_err(|_| self.stopped())?
    }
    async fn begin(&self) -> Result<Box<dyn Tx>, Fault> {
        Ok(Box::new(self.lend().await?))
    }
    async fn committed(&self, after: Position) {
        // The sender lives as long as this handle, so the wait ends by a commit or not at all.
        let _ = self.last.subscribe().wait_for(|last| *last > after.0).await;
    }
}

/// A number that was checked on its way in, so it is not negative.
fn number(row: &sqlx::sqlite::SqliteRow, column: usize) -> sqlx::Result<u64> {
    row.try_get::<i64, _>(column).map(|it| it as u64)
}

/// An empty batch cannot be refused.
fn unrejected(rejected: Rejected) -> Fault {
    match rejected {
        Rejected::Fault(fault) => fault,
        other => Fault::internal("an empty batch was refused").because(other),
    }
}

/// What SQLite's errors mean for the caller: busy, full and the disk's may pass.
fn fault(error: sqlx::Error) -> Fault {
    /// `SQLITE_BUSY`, `LOCKED`, `NOMEM`, `IOERR`, `FULL`, `CANTOPEN`: the low byte of the extended code.
    const PASSING: [i32; 6] = [5, 6, 7, 10, 13, 14];
    let Some(database) = error.as_database_error() else {
        return Fault::unavailable("the database cannot be reached").because(error);
    };
    if database.message().contains("no such table") {
        return Fault::internal("the database has no schema yet: call `migrate` first").because(error);
    }
    let code = database.code().and_then(|it| it.parse::<i32>().ok()).unwrap_or_default();
    match PASSING.contains(&(code & 0xff)) {
        true => Fault::unavailable("the database cannot be used now").because(error),
        false => Fault::internal("the database refuses a statement").because(error),
    }
}
