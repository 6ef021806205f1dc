//! Storage in PostgreSQL: a batch is one statement, and readers of the log wait until concurrent writers have ended.
//!
//! All tables are in the schema `cqrs`, and the role needs no right beyond owning it. `alter role ... set
//! log_min_error_statement = fatal`, run by a superuser, keeps refused batches out of the server's log. Behind a pooler
//! that lends sessions for a transaction, such as PgBouncer, add `pooling=transaction` to the URL ([`Pooling`]).
mod archive;
mod commit;
mod config;
mod connection;
mod errors;
mod high_water_mark;
mod keys;
mod migrate;
mod note;
mod parts;
mod password;
mod pooling;
mod program;
mod purge;
mod read;
mod statement;
mod stats;
mod timer;
mod transaction;
mod unique;
mod view_copy;

#[doc(hidden)]
pub use archive::ARCHIVE;
pub use config::{Config, ConfigError, Pooling, Tls, TlsMode};
pub use high_water_mark::HighWaterMarkMode;
#[doc(hidden)]
pub use program::LEFT as LEFT_TO_NEWER_PROGRAM;
#[doc(hidden)]
pub use purge::OUTGOING as PURGE_OF_OUTGOING;
#[doc(hidden)]
pub use read::{
    COUNT_LOG, FIRST_PARKED, PARKED, PARKED_COUNTS, PARKED_KEYS, RANGES_OF_INDEX, READS_BY_OTHER_ROWS, READS_OF_SEVERAL,
};
#[doc(hidden)]
pub use statement::every_statement;
#[doc(hidden)]
pub use timer::{COUNTS as TIMER_COUNTS, DUE as DUE_TIMERS};
pub use transaction::transaction;

use super::{
    ArchiveRange, Archived, ComparedValues, CountedEntries, Cutoff, DatabaseStats, DueTimers, Firing, InboxLookup,
    KeyStore, Lease, Loaded, OutgoingRange, Parked, ParkedKey, ParkedPage, ReadLimit, Scan, Scanned, SnapshotAndEvents,
    Storage, StoredData, StoredProgram, StoredRow, StoredValues, StoredView, Timer, TimerCounts, TimerPage, Tx,
    ValueReservation, ViewSwitch,
};
use crate::{
    environment::{Environment, system},
    error::Fault,
    event::{Entry, StreamEvent},
    position::Position,
    storage::batch::{Batch, CommitError, StoredResponse},
    storage::check,
};
use async_trait::async_trait;
use sqlx::{
    PgConnection, PgPool, SqlStr,
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
use tokio::sync::{Mutex, watch};
use uuid::Uuid;

/// The settings of every connection; behind a pooler, those of every transaction, without the ones of TCP.
///
/// They make sure that rows are locked in the order of the batch's arrays, that a plan made while tables were empty
/// stays good, and that a writer which hangs inside a transaction does not hold up readers of the log for ever. A
/// commit is on the disk before it is acknowledged or read, whatever the database's own setting: an event that a relay
/// has published must not be lost in a crash. The server ends the session of a client that has vanished after a minute.
pub const SETTINGS: [(&str, &str); 12] = [
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_seqscan", "off"),
    ("plan_cache_mode", "force_generic_plan"),
    ("jit", "off"),
    ("default_transaction_isolation", "read committed"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("synchronous_commit", "on"),
    ("tcp_keepalives_idle", "30"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "60000"),
];

/// Options of a [`Postgres`] storage.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// The maximum number of connections. Default: 10.
    pub max_connections: u32,
    /// The time to wait for a connection before a call fails as unavailable. Default: 3 s.
    pub acquire_timeout: Duration,
    /// The way in which readers of the log are kept from missing events. All programs on one database must use the
    /// same.
    pub high_water_mark: HighWaterMarkMode,
    /// The environment: the system's, or a simulation.
    pub environment: Arc<dyn Environment>,
}
impl Default for Options {
    fn default() -> Self {
        Options {
            max_connections: 10,
            acquire_timeout: Duration::from_secs(3),
            high_water_mark: HighWaterMarkMode::default(),
            environment: system(),
        }
    }
}

/// A PostgreSQL database. Cloning shares its connections.
#[derive(Clone)]
pub struct Postgres(Arc<Inner>);

struct Inner {
    pool: PgPool,
    /// The connection of the readiness check, so that it does not wait for requests. It is taken out while it is in use.
    readiness: Mutex<Option<PgConnection>>,
    config: Config,
    /// The last password of the file.
    password: password::FilePassword,
    /// The longest call to the server.
    limit: Duration,
    /// The beginning of every transaction, if a pooler keeps no sessions.
    pooled: Option<pooling::Beginning>,
    environment: Arc<dyn Environment>,
    texts: statement::Texts,
    high_water_mark: high_water_mark::SharedComputation,
    committed: watch::Sender<u64>,
    statements: AtomicU64,
    /// The number of connections in the pool that may be from before the last connection loss.
    suspects: Arc<AtomicU32>,
    /// The number of transactions whose beginning was not answered, and whose connection was not found out yet.
    unanswered: Arc<AtomicU32>,
}

impl Postgres {
    /// Connects with the default options.
    pub async fn connect(url: &str) -> Result<Self, Fault> {
        Postgres::connect_with(url, Options::default()).await
    }

    /// Connects with these options. If the server is starting, this waits for it up to the acquire time-out.
    pub async fn connect_with(url: &str, options: Options) -> Result<Self, Fault> {
        Postgres::open(&Config::parse(url).map_err(refused)?, options).await
    }

    /// Connects as configured. If the server is starting, this waits for it up to the acquire time-out.
    pub async fn open(config: &Config, options: Options) -> Result<Self, Fault> {
        Postgres::made(config, options, true).await
    }

    /// Opens the database as configured, and connects at the first call. The log of a query side is opened so, because the query
    /// side starts while the database is down.
    ///
    /// # Errors
    /// Fails when a file of the configuration cannot be read.
    pub async fn open_later(config: &Config, options: Options) -> Result<Self, Fault> {
        Postgres::made(config, options, false).await
    }

    async fn made(config: &Config, options: Options, connects: bool) -> Result<Self, Fault> {
        let password = config.password().map_err(refused)?;
        let connect = config.connect(password.as_ref()).map_err(refused)?;
        let suspects = Arc::new(AtomicU32::new(0));
        let unanswered = Arc::new(AtomicU32::new(0));
        let (tested, environment) = (suspects.clone(), options.environment.clone());
        let (left, released_in) = (unanswered.clone(), options.environment.clone());
        let limit = config.statement_timeout + connection::GRACE;
        let pool_options = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            // Testing a connection costs a round trip, so only suspects are tested before use.
            .test_before_acquire(false)
            .before_acquire(move |connection, _| {
                let suspect =
                    tested.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
                let environment = environment.clone();
                Box::pin(async move {
                    match suspect {
                        true => connection::test(connection, &*environment).await,
                        false => Ok(true),
                    }
                })
            })
            .after_release(move |connection, _| {
                let (left, environment) = (left.clone(), released_in.clone());
                Box::pin(async move { connection::release(connection, &left, &*environment, limit).await })
            });
        let pool = match connects {
            true => pool_options.connect_with(connect).await.map_err(errors::start)?,
            false => pool_options.connect_lazy_with(connect),
        };
        Ok(Postgres(Arc::new(Inner {
            pool,
            readiness: Mutex::new(None),
            config: config.clone(),
            password: password::FilePassword::new(password),
            limit,
            pooled: pooling::Beginning::of(config),
            environment: options.environment,
            texts: statement::Texts::default(),
            high_water_mark: high_water_mark::SharedComputation::new(options.high_water_mark),
            committed: watch::Sender::new(0),
            statements: AtomicU64::new(0),
            suspects,
            unanswered,
        })))
    }

    /// Returns the number of round trips so far, without those that prepare a statement on a new connection. For tests
    /// and metrics.
    pub fn statements(&self) -> u64 {
        self.0.statements.load(Ordering::Relaxed)
    }

    /// Closes all connections, each as soon as its current use has ended.
    pub async fn close(&self) {
        self.0.pool.close().await;
        drop(self.0.readiness.lock().await.take());
    }
}

fn refused(error: ConfigError) -> Fault {
    Fault::internal("the database's configuration is invalid").because(error)
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postgres({} connections)", self.0.pool.size())
    }
}

impl Inner {
    /// Runs a read. On a lost connection it runs once more, which is safe because a read changes nothing. A server that
    /// has not responded in time is not asked again.
    async fn rows(&self, sql: &'static str, with: Option<PgArguments>) -> Result<Vec<PgRow>, sqlx::Error> {
        match self.rows_once(sql, with.clone()).await {
            Err(error) if errors::is_lost(&error) && !errors::is_timeout(&error) => self.rows_once(sql, with).await,
            rows => rows,
        }
    }
    async fn rows_once(&self, sql: &'static str, with: Option<PgArguments>) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut connection = self.connection().await?;
        let rows = match with {
            Some(with) => self.query(&mut connection, SqlStr::from_static(sql), with).await.map(|(rows, _)| rows),
            None => {
                self.count();
                self.limited(sqlx::raw_sql(sql).fetch_all(&mut *connection)).await
            }
        };
        rows.inspect_err(|error| {
            connection.close_if_lost(error);
            self.notice(error);
        })
    }
    fn fault(&self, error: sqlx::Error) -> Fault {
        self.notice(&error);
        errors::fault(error)
    }
    /// Marks all pooled connections as suspects after a connection loss, so that each is tested before its next use.
    fn notice(&self, error: &sqlx::Error) {
        if errors::is_lost(error) {
            self.suspects.store(self.pool.size(), Ordering::SeqCst);
        }
    }
    fn count(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }
    fn announce(&self, position: Position) {
        self.committed.send_if_modified(|last| {
            let later = position.0 > *last;
            *last = position.0.max(*last);
            later
        });
    }
}

#[async_trait]
impl Storage for Postgres {
    async fn row(&self, kind: &str, id: &str, response: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        check::key(id, response)?;
        self.0.row(kind, id, response).await
    }
    async fn stream(
        &self,
        stream: &str,
        after: u64,
        response: Option<&str>,
    ) -> Result<Loaded<Vec<StreamEvent>>, Fault> {
        check::key(stream, response)?;
        self.0.stream(stream, after, response).await
    }
    async fn snapshot(
        &self,
        kind: &str,
        id: &str,
        form: i64,
        response: Option<&str>,
    ) -> Result<Loaded<SnapshotAndEvents>, Fault> {
        check::key(id, response)?;
        self.0.snapshot(kind, id, form, response).await
    }
    async fn stream_page(&self, stream: &str, after: u64, limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        check::key(stream, None)?;
        self.0.stream_page(stream, after, limit).await
    }
    async fn response(&self, key: &str) -> Result<Option<StoredResponse>, Fault> {
        check::key(key, None)?;
        self.0.response(key).await
    }
    async fn lookup_inbox(&self, group: &str, messages: &[Uuid], keys: &[String]) -> Result<InboxLookup, Fault> {
        self.0.lookup_inbox(group, messages, keys).await
    }
    async fn parked_keys(&self, page: &ParkedPage<'_>) -> Result<Vec<ParkedKey>, Fault> {
        check::page(page)?;
        self.0.parked_keys(page).await
    }
    async fn first_parked(&self, reader: &str, keys: &[String]) -> Result<Vec<(String, String)>, Fault> {
        self.0.first_parked(reader, keys).await
    }
    async fn parked_counts(&self, limit: usize) -> Result<Vec<(String, u64)>, Fault> {
        self.0.parked_counts(limit).await
    }
    async fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault> {
        self.0.parked(reader, key, after, limit).await
    }
    async fn purge(&self, old: &Cutoff, limit: usize) -> Result<u64, Fault> {
        self.0.purge(old, limit).await
    }
    async fn archive(&self, range: &ArchiveRange, limit: usize) -> Result<Archived, Fault> {
        self.0.archive(range, limit).await
    }
    async fn checkpoints_below(&self, prefix: &str) -> Result<Vec<(String, u64)>, Fault> {
        self.0.checkpoints_below(prefix).await
    }
    async fn serving_copy(&self, view: &str) -> Result<u64, Fault> {
        self.0.serving_copy(view).await
    }
    async fn switch_view(&self, switch: &ViewSwitch) -> Result<bool, Fault> {
        self.0.switch_view(switch).await
    }
    async fn compare_copies(
        &self,
        copies: [&str; 2],
        readers: [&[String]; 2],
        after: Option<&str>,
        limit: usize,
    ) -> Result<ComparedValues, Fault> {
        self.0.compare_copies(copies, readers, after, limit).await
    }
    async fn drop_copy(&self, view: &str, copy: u64, readers: &[String], limit: usize) -> Result<u64, Fault> {
        self.0.drop_copy(view, copy, readers, limit).await
    }
    async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        check::keys(keys)?;
        self.0.views(view, keys).await
    }
    async fn views_and_checkpoints(
        &self,
        view: &str,
        keys: &[String],
        readers: &[String],
    ) -> Result<(Vec<StoredView>, Vec<u64>), Fault> {
        self.0.views_and_checkpoints(view, keys, readers).await
    }
    async fn view_values_after(
        &self,
        stored: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredView>, Fault> {
        self.0.view_values_after(stored, after, limit).await
    }
    async fn views_of_other_index_sets(
        &self,
        view: &str,
        index_sets: &[i64],
        limit: usize,
    ) -> Result<Vec<StoredView>, Fault> {
        self.0.views_of_other_index_sets(view, index_sets, limit).await
    }
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        check::range(scan)?;
        self.0.scan(scan).await
    }
    async fn count_entries(&self, scan: &Scan<'_>) -> Result<u64, Fault> {
        check::range(scan)?;
        self.0.count_entries(scan).await
    }
    async fn checkpoints(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        self.0.checkpoints(readers).await
    }
    async fn high_water_mark(&self) -> Result<Position, Fault> {
        self.0.high_water_mark().await
    }
    async fn log(&self, after: Position, upto: Position, limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        self.0.log(after, upto, limit).await
    }
    async fn log_of(
        &self,
        names: &[&str],
        after: Position,
        upto: Position,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        self.0.log_of(names, after, upto, limit).await
    }
    async fn count_log(
        &self,
        counted: CountedEntries<'_>,
        after: Position,
        upto: Position,
        limit: usize,
    ) -> Result<u64, Fault> {
        self.0.count_log(counted, after, upto, limit).await
    }
    async fn outgoing_entries(
        &self,
        shards: &[(u16, Position)],
        upto: Position,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        self.0.outgoing_entries(shards, upto, limit).await
    }
    async fn outgoing_entries_of(&self, ranges: &[OutgoingRange<'_>], limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        self.0.outgoing_entries_of(ranges, limit).await
    }
    async fn lease(&self, reader: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        Ok(self.0.leases(&[reader.to_owned()], owner, ttl).await?.into_iter().next().flatten())
    }
    async fn leases(&self, readers: &[String], owner: &str, ttl: Duration) -> Result<Vec<Option<Lease>>, Fault> {
        self.0.leases(readers, owner, ttl).await
    }
    async fn release(&self, reader: &str, owner: &str) -> Result<(), Fault> {
        self.0.release(reader, owner).await
    }
    async fn left_to_newer_program(&self, limit: usize) -> Result<Vec<(String, String)>, Fault> {
        self.0.left_to_newer_program(limit).await
    }
    async fn replace_parked_error(&self, number: u64, expected: &str, error: &str) -> Result<bool, Fault> {
        self.0.replace_parked_error(number, expected, error).await
    }
    async fn declare_program(&self, declaration: &str) -> Result<(u64, Duration), Fault> {
        self.0.declare_program(declaration).await
    }
    async fn programs(&self, after: u64) -> Result<Vec<StoredProgram>, Fault> {
        self.0.programs(after).await
    }
    async fn holds(&self, data: &StoredData) -> Result<bool, Fault> {
        self.0.holds(data).await
    }
    async fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        self.0.notes(prefix).await
    }
    async fn replace_note(&self, name: &str, expected: Option<&str>, value: Option<&str>) -> Result<bool, Fault> {
        self.0.replace_note(name, expected, value).await
    }
    async fn rows_after(
        &self,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, StoredRow)>, Fault> {
        self.0.rows_after(kind, after, limit).await
    }
    async fn streams_after(
        &self,
        kind: &str,
        after: Option<(&str, u64)>,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        self.0.streams_after(kind, after, limit).await
    }
    async fn reserve_stored(&self, values: &StoredValues) -> Result<Vec<ValueReservation>, Fault> {
        self.0.reserve_stored(values).await
    }
    async fn unreserved(&self, index: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
        self.0.unreserved(index, after, limit).await
    }
    async fn due_timers(&self, after: Option<Firing>, limit: usize) -> Result<DueTimers, Fault> {
        self.0.due_timers(after, limit).await
    }
    async fn timers(&self, page: &TimerPage<'_>) -> Result<Vec<Timer>, Fault> {
        check::timers(page)?;
        self.0.timers(page).await
    }
    async fn timer_counts(&self, limit: usize) -> Result<TimerCounts, Fault> {
        self.0.timer_counts(limit).await
    }
    async fn migrate(&self) -> Result<(), Fault> {
        self.0.migrate().await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        self.0.commit(batch).await
    }
    async fn begin(&self) -> Result<Box<dyn Tx>, Fault> {
        self.0.begin().await
    }
    fn key_store(&self) -> Option<Arc<dyn KeyStore>> {
        Some(Arc::new(self.clone()))
    }
    async fn wait_for_commit(&self, after: Position) {
        // The wait cannot fail, since the sender lives as long as this storage.
        let _ = self.0.committed.subscribe().wait_for(|last| *last > after.0).await;
    }
    async fn ready(&self) -> Result<(), Fault> {
        self.0.ready().await
    }
    async fn stats(&self) -> Result<DatabaseStats, Fault> {
        self.0.stats().await
    }
}
