//! A query by key on a query side, beside the bare client of its store.
use crate::{
    growth::{
        fill,
        model::{
            self,
            counts::{self, Count, FindCount},
        },
    },
    subject::{Caller, Subject},
    system::Server,
};
use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use cqrs_core::{
    App,
    app::Background,
    storage::{self, ViewStore},
};
use redis::{AsyncCommands, Client, aio::MultiplexedConnection};
use sqlx::{PgPool, postgres::PgPoolOptions};

/// The number of keys of the view, and of events of each key.
const KEYS: u64 = 1_000;
const EVENTS_OF_A_KEY: u64 = 10;
/// The number of connections of the bare PostgreSQL client: as many as the framework's storage has by default.
const CONNECTIONS: u32 = 10;
/// The value that every key has.
const VALUE: Count = Count { events: EVENTS_OF_A_KEY };

/// The store of the views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ViewTarget {
    /// Another database than that of the log.
    Postgres,
    Redis,
}
impl ViewTarget {
    pub(crate) const ALL: [ViewTarget; 2] = [ViewTarget::Postgres, ViewTarget::Redis];
    /// Returns the store's part of a row's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            ViewTarget::Postgres => "postgres",
            ViewTarget::Redis => "redis",
        }
    }
}

/// A query side with a filled view. Its projection follows the log as in a process that serves queries.
pub(crate) struct FrameworkQuery {
    app: App,
    /// Keeps the projection running.
    _background: Background,
}
impl FrameworkQuery {
    pub(crate) async fn on_postgres(server: &Server) -> Result<Self> {
        FrameworkQuery::start(server, storage::Postgres::connect(server.database("views")?.url()).await?).await
    }
    pub(crate) async fn on_redis(server: &Server, redis: &test_support::Redis) -> Result<Self> {
        FrameworkQuery::start(server, storage::Redis::open(&redis.url(), "benchmarks")?).await
    }
    /// Fills a log on the server, and the view from it.
    async fn start(server: &Server, store: impl ViewStore) -> Result<Self> {
        let database = server.database("log")?;
        // The service itself prepares its database.
        let commands = model::builder(database.url()).await?.discover_part(counts::MODULE).build()?;
        commands.migrate().await?;
        fill::counted(database.url(), KEYS * EVENTS_OF_A_KEY, KEYS).await?;
        let queries = model::builder(database.url()).await?.discover_part(counts::MODULE);
        let app = queries.query_side(store).build()?;
        let background = app.start().await?;
        model::caught_up(&app, "projection/count").await?;
        Ok(FrameworkQuery { app, _background: background })
    }
}
#[async_trait]
impl Subject for FrameworkQuery {
    fn name(&self) -> &'static str {
        "framework"
    }
    async fn callers(&self, count: usize, _calls: u64) -> Result<Vec<Box<dyn Caller>>> {
        let caller = |number| Box::new(Finder { app: self.app.clone(), next: Keys(number) }) as Box<dyn Caller>;
        Ok((0..count as u64).map(caller).collect())
    }
}

/// The keys of one caller, in turns.
struct Keys(u64);
impl Keys {
    fn next(&mut self) -> String {
        self.0 = (self.0 + 1) % KEYS;
        self.0.to_string()
    }
}
fn check(found: Option<Count>) -> Result<()> {
    ensure!(found.as_ref() == Some(&VALUE), "expected {VALUE:?}, found {found:?}");
    Ok(())
}

struct Finder {
    app: App,
    next: Keys,
}
#[async_trait]
impl Caller for Finder {
    async fn call(&mut self) -> Result<()> {
        check(self.app.send(FindCount(self.next.next())).await?)
    }
}

/// `GET` of the same JSON with the client of Redis, on one connection as in the framework's store.
pub(crate) struct BareRedis(MultiplexedConnection);
impl BareRedis {
    /// Stores the values under keys of their own.
    pub(crate) async fn start(redis: &test_support::Redis) -> Result<Self> {
        let client = Client::open(redis.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        for key in 0..KEYS {
            let _: () = connection.set(bare_key(&key.to_string()), serde_json::to_vec(&VALUE)?).await?;
        }
        Ok(BareRedis(connection))
    }
    /// Returns the header's line about the server.
    pub(crate) async fn describe(&self) -> Result<String> {
        let text: String = redis::cmd("INFO").arg("server").query_async(&mut self.0.clone()).await?;
        let version = text.lines().find_map(|line| line.strip_prefix("redis_version:"));
        Ok(format!("Redis {}, nothing saved to the disk", version.context("Redis names no version")?.trim()))
    }
}
fn bare_key(key: &str) -> String {
    format!("bare:{key}")
}
#[async_trait]
impl Subject for BareRedis {
    fn name(&self) -> &'static str {
        "redis client"
    }
    async fn callers(&self, count: usize, _calls: u64) -> Result<Vec<Box<dyn Caller>>> {
        let caller = |number| Box::new(Getter { connection: self.0.clone(), next: Keys(number) }) as Box<dyn Caller>;
        Ok((0..count as u64).map(caller).collect())
    }
}

struct Getter {
    connection: MultiplexedConnection,
    next: Keys,
}
#[async_trait]
impl Caller for Getter {
    async fn call(&mut self) -> Result<()> {
        let found: Option<Vec<u8>> = self.connection.get(bare_key(&self.next.next())).await?;
        check(found.map(|value| serde_json::from_slice(&value)).transpose()?)
    }
}

/// A `select` of the same JSON by primary key with sqlx.
pub(crate) struct BareSelect(PgPool);
impl BareSelect {
    /// Stores the values in a database of its own.
    pub(crate) async fn start(server: &Server) -> Result<Self> {
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
        let pool = pool.connect(server.database("bare_select")?.url()).await?;
        sqlx::raw_sql("create table counts (key text primary key, value bytea not null)").execute(&pool).await?;
        let insert = "insert into counts select n::text, $1 from generate_series(0, $2 - 1) n";
        sqlx::query(insert).bind(serde_json::to_vec(&VALUE)?).bind(KEYS as i64).execute(&pool).await?;
        Ok(BareSelect(pool))
    }
}
#[async_trait]
impl Subject for BareSelect {
    fn name(&self) -> &'static str {
        "sqlx"
    }
    async fn callers(&self, count: usize, _calls: u64) -> Result<Vec<Box<dyn Caller>>> {
        let caller = |number| Box::new(Selector { pool: self.0.clone(), next: Keys(number) }) as Box<dyn Caller>;
        Ok((0..count as u64).map(caller).collect())
    }
}

struct Selector {
    pool: PgPool,
    next: Keys,
}
#[async_trait]
impl Caller for Selector {
    async fn call(&mut self) -> Result<()> {
        let select = sqlx::query_scalar("select value from counts where key = $1").bind(self.next.next());
        let found: Option<Vec<u8>> = select.fetch_optional(&self.pool).await?;
        check(found.map(|value| serde_json::from_slice(&value)).transpose()?)
    }
}
