//! The PostgreSQL server that the systems share: databases, settings, counters.
use crate::subject::Counters;
use anyhow::Result;
use sqlx::{PgPool, postgres::PgPoolOptions};
use std::sync::Arc;
use test_support::{Database, Postgres};

/// A server of this run, started with `fsync=on`. Clones are the same server.
#[derive(Clone)]
pub(crate) struct Server {
    postgres: Arc<Postgres>,
    admin: PgPool,
}
impl Server {
    /// Starts the newest PostgreSQL that is installed.
    pub(crate) async fn start() -> Result<Server> {
        let postgres = Postgres::start()?;
        let admin = PgPoolOptions::new().max_connections(1).connect(&postgres.url("postgres")).await?;
        Ok(Server { postgres: Arc::new(postgres), admin })
    }
    /// Makes the server count the statements of each database, which needs a restart.
    pub(crate) async fn count_statements(&self) -> Result<()> {
        sqlx::query("alter system set shared_preload_libraries = 'pg_stat_statements'").execute(&self.admin).await?;
        self.postgres.restart()?;
        sqlx::query("create extension if not exists pg_stat_statements").execute(&self.admin).await?;
        Ok(())
    }
    /// Reads the number of statements that the clients of a database have executed.
    pub(crate) async fn statements(&self, database: &str) -> Result<u64> {
        let sql = "select coalesce(sum(calls), 0)::text from pg_stat_statements \
                   where dbid = (select oid from pg_database where datname = $1)";
        let calls: String = sqlx::query_scalar(sql).bind(database).fetch_one(&self.admin).await?;
        Ok(calls.parse()?)
    }
    /// Creates an empty database.
    pub(crate) fn database(&self, name: &str) -> Result<Database> {
        self.postgres.create_database(name)
    }
    /// Returns the version and the settings that decide the cost of a commit.
    pub(crate) async fn describe(&self) -> Result<String> {
        let mut described = format!("PostgreSQL {}", self.setting("server_version").await?);
        for name in ["fsync", "synchronous_commit", "full_page_writes", "shared_buffers"] {
            described += &format!(", {name}={}", self.setting(name).await?);
        }
        Ok(described)
    }
    async fn setting(&self, name: &str) -> Result<String> {
        Ok(sqlx::query_scalar("select current_setting($1)").bind(name).fetch_one(&self.admin).await?)
    }
    /// Reads the number of transactions with an id, which are those that write, and the bytes of the write-ahead log.
    /// Both belong to the whole server. Systems are measured one at a time, and an idle one writes little.
    pub(crate) async fn counters(&self) -> Result<Counters> {
        let sql = "select pg_snapshot_xmax(pg_current_snapshot())::text, (pg_current_wal_insert_lsn() - '0/0')::text";
        let (writes, wal): (String, String) = sqlx::query_as(sql).fetch_one(&self.admin).await?;
        Ok(Counters { writes: writes.parse().ok(), wal: wal.parse().ok(), cpu: None })
    }
}
