//! PostgreSQL: a batch is one statement, whoever reads the log waits out those who write it.
//!
//! Everything lives in the schema `cqrs`. The role needs no more than to own it; `alter role ... set
//! log_min_error_statement = fatal`, done by a superuser, keeps refused batches out of the server's log. Behind a pooler
//! that takes no start-up options, set what [`SETTINGS`] lists for the role as well.
mod commit;
mod config;
mod forget;
mod horizon;
mod migrate;
mod parts;
mod read;
mod statement;
mod transaction;
mod trouble;
mod vitals;

pub use config::{Config, ConfigError, Tls, TlsMode};
pub use horizon::Horizon;
#[doc(hidden)]
pub use read::READS_OF_SEVERAL;
#[doc(hidden)]
pub use statement::every_statement;
pub use transaction::transaction;

use super::{Lease, Loaded, Old, Parked, ParkedKey, Scan, Scanned, Seen, Storage, StoredRow, StoredView, Tx, Vitals};
use crate::{
    Fault, Position,
    batch::{Answer, Batch, Entry, Rejected},
    world::{World, machine},
};
use async_trait::async_trait;
use sqlx::{
    Connection, PgPool,
    postgres::{PgArguments, PgPoolOptions, PgRow},
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;
use uuid::Uuid;

/// What every connection is set to: rows are locked in the order of the batch's arrays, a plan made while tables were empty
/// stays good, a writer that hangs inside a transaction cannot hold up readers of the log for ever, and a commit that is answered or
/// read is on the disk, whatever the database's own setting: what a relay has published must not be gone after a crash.
pub const SETTINGS: [(&str, &str); 8] = [
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_seqscan", "off"),
    ("plan_cache_mode", "force_generic_plan"),
    ("jit", "off"),
    ("default_transaction_isolation", "read committed"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("synchronous_commit", "on"),
];

/// How a database is used.
#[derive(Clone)]
pub struct Options {
    /// Connections at most.
    pub max_connections: u32,
    /// How long to wait for a connection before a call fails as unavailable.
    pub acquire_timeout: Duration,
    /// How readers of the log are kept from missing events. All programs on one database use the same.
    pub horizon: Horizon,
    /// The machine, or a simulation of one.
    pub world: Arc<dyn World>,
}
impl Default for Options {
    fn default() -> Self {
        Options {
            max_connections: 10,
            acquire_timeout: Duration::from_secs(3),
            horizon: Horizon::default(),
            world: machine(),
        }
    }
}

/// A PostgreSQL database. Cloning shares its connections.
#[derive(Clone)]
pub struct Postgres(Arc<Inner>);

struct Inner {
    pool: PgPool,
    world: Arc<dyn World>,
    texts: statement::Texts,
    horizon: horizon::Shared,
    committed: watch::Sender<u64>,
    statements: AtomicU64,
    /// How many connections from before the last loss may still lie in the pool.
    suspects: Arc<AtomicU32>,
}

impl Postgres {
    /// Connects, with the usual options.
    pub async fn connect(url: &str) -> Result<Self, Fault> {
        Postgres::connect_with(url, Options::default()).await
    }

    /// Connects. A server that is starting is waited for, as long as for a connection.
    pub async fn connect_with(url: &str, options: Options) -> Result<Self, Fault> {
        Postgres::open(&Config::parse(url).map_err(refused)?, options).await
    }

    /// Connects as configured. A server that is starting is waited for, as long as for a connection.
    pub async fn open(config: &Config, options: Options) -> Result<Self, Fault> {
        let connect = config.connect().map_err(refused)?;
        let suspects = Arc::new(AtomicU32::new(0));
        let tested = suspects.clone();
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            // A test before each use would be a round trip before each use; only suspects are tested.
            .test_before_acquire(false)
            .before_acquire(move |connection, _| {
                let suspect =
                    tested.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
                Box::pin(async move {
                    if suspect {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_with(connect.options(SETTINGS))
            .await
            .map_err(trouble::fault)?;
        Ok(Postgres(Arc::new(Inner {
            pool,
            world: options.world,
            texts: statement::Texts::default(),
            horizon: horizon::Shared::new(options.horizon),
            committed: watch::Sender::new(0),
            statements: AtomicU64::new(0),
            suspects,
        })))
    }

    /// Round trips so far, not counting what a cold connection needs to prepare a statement. For tests and metrics.
    pub fn statements(&self) -> u64 {
        self.0.statements.load(Ordering::Relaxed)
    }

    /// Ends all connections, when what uses them has finished.
    pub async fn close(&self) {
        self.0.pool.close().await;
    }
}

fn refused(error: ConfigError) -> Fault {
    Fault::internal("the database's configuration was refused").because(error)
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postgres({} connections)", self.0.pool.size())
    }
}

impl Inner {
    /// Reads. What was asked on a lost connection is asked once more: reading twice changes nothing.
    async fn rows(&self, sql: &'static str, with: Option<PgArguments>) -> Result<Vec<PgRow>, sqlx::Error> {
        match self.rows_once(sql, with.clone()).await {
            Err(error) if trouble::is_lost(&error) => {
                self.notice(&error);
                self.rows_once(sql, with).await
            }
            rows => rows,
        }
    }
    async fn rows_once(&self, sql: &'static str, with: Option<PgArguments>) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        self.count();
        match with {
            Some(with) => sqlx::query_with(sql, with).fetch_all(&mut *connection).await,
            None => sqlx::raw_sql(sql).fetch_all(&mut *connection).await,
        }
    }
    fn fault(&self, error: sqlx::Error) -> Fault {
        self.notice(&error);
        trouble::fault(error)
    }
    /// Where one connection is lost, the others may be: each is tested before it is used again.
    fn notice(&self, error: &sqlx::Error) {
        if trouble::is_lost(error) {
            self.suspects.store(self.pool.size(), Ordering::SeqCst);
        }
    }
    fn count(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }
    fn tell(&self, position: Position) {
        self.committed.send_if_modified(|last| {
            let later = position.0 > *last;
            *last = position.0.max(*last);
            later
        });
    }
}

#[async_trait]
impl Storage for Postgres {
    async fn row(&self, kind: &str, id: &str, answer: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        self.0.row(kind, id, answer).await
    }
    async fn stream(&self, stream: &str, after: u64, answer: Option<&str>) -> Result<Loaded<Vec<Entry>>, Fault> {
        self.0.stream(stream, after, answer).await
    }
    async fn answer(&self, key: &str) -> Result<Option<Answer>, Fault> {
        self.0.answer(key).await
    }
    async fn seen(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<Seen, Fault> {
        self.0.seen(group, messages, keys).await
    }
    async fn parked_keys(&self, readers: &[String]) -> Result<Vec<ParkedKey>, Fault> {
        self.0.parked_keys(readers).await
    }
    async fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault> {
        self.0.parked(reader, key, after, limit).await
    }
    async fn forget(&self, old: &Old, limit: usize) -> Result<u64, Fault> {
        self.0.forget(old, limit).await
    }
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        self.0.views(view, keys).await
    }
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        self.0.scan(scan).await
    }
    async fn positions(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        self.0.positions(readers).await
    }
    async fn horizon(&self) -> Result<Position, Fault> {
        self.0.horizon().await
    }
    async fn log(&self, after: Position, upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        self.0.log(after, upto, limit).await
    }
    async fn lanes(&self, lanes: &[(u16, Position)], upto: Position, limit: usize) -> Result<Vec<Entry>, Fault> {
        self.0.lanes(lanes, upto, limit).await
    }
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        self.0.lease(reader, owner, ttl).await
    }
    async fn release(&self, reader: &str, owner: &str) -> Result<(), Fault> {
        self.0.release(reader, owner).await
    }
    async fn migrate(&self) -> Result<(), Fault> {
        self.0.migrate().await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, Rejected> {
        self.0.commit(batch).await
    }
    async fn begin(&self) -> Result<Box<dyn Tx>, Fault> {
        self.0.begin().await
    }
    async fn committed(&self, after: Position) {
        // Never an error: the sender lives as long as we do.
        let _ = self.0.committed.subscribe().wait_for(|last| *last > after.0).await;
    }
    async fn ready(&self) -> Result<(), Fault> {
        self.0.ready().await
    }
    async fn vitals(&self) -> Result<Vitals, Fault> {
        self.0.vitals().await
    }
}
