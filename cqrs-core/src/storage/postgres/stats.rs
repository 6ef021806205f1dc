//! Readiness of the database and its statistics: the writer that holds up readers of the log, and connections in use.
use super::Inner;
use super::migrate::MIGRATIONS;
use crate::{
    error::Fault,
    storage::{Connections, DatabaseStats, OldestWriter},
};
use sqlx::{PgConnection, Row};
use std::time::Duration;

/// The schema's version, and whether writes are refused. The version may be newer than this program's: during a rolling
/// update older programs keep running.
const READY: &str = "select coalesce(max(version), 0), \
    pg_is_in_recovery() or current_setting('transaction_read_only')::bool from cqrs._cqrs_migrations";
/// The oldest holder of the lock that writers of events take, as in `HOLDERS`. The server shows the start of a
/// transaction only to the same role and to members of `pg_read_all_stats`.
const OLDEST: &str = "select pid, (extract(epoch from clock_timestamp() - xact_start) * 1000000)::int8 \
    from pg_locks join pg_stat_activity using (pid) where locktype = 'advisory' and granted \
    and classid = 6517106 and objid = 1936486247 and objsubid = 1 and xact_start is not null \
    and database = (select oid from pg_database where datname = current_database()) order by xact_start limit 1";

impl Inner {
    /// Checks the database on a connection of its own, since load on the pool does not make a process unready.
    pub(super) async fn ready(&self) -> Result<(), Fault> {
        let mut readiness = self.readiness.lock().await;
        if self.pool.is_closed() {
            return Err(Fault::unavailable("the database is closed"));
        }
        let mut row = None;
        if let Some(kept) = readiness.take() {
            // The connection may be from before a failover; then a new one decides.
            row = self.limited(is_ready(kept)).await.ok().filter(|(_, (_, read_only))| !read_only);
        }
        let (connection, (found, read_only)) = match row {
            Some(row) => row,
            None => {
                let connected = async { is_ready(self.open().await?).await };
                self.limited(connected).await.map_err(|error| self.fault(error))?
            }
        };
        if read_only {
            return Err(Fault::unavailable("the database refuses writes: it is a standby, or set to read only"));
        }
        *readiness = Some(connection);
        if found < MIGRATIONS.len() as i32 {
            return Err(Fault::unavailable(format!("the schema has version {found} and is not migrated yet")));
        }
        Ok(())
    }
    pub(super) async fn stats(&self) -> Result<DatabaseStats, Fault> {
        let rows = self.rows(OLDEST, None).await.map_err(|error| self.fault(error))?;
        let oldest_writer = rows.first().map(oldest_writer).transpose().map_err(|error| self.fault(error))?;
        let idle = self.pool.num_idle() as u32;
        let connections = Connections {
            used: self.pool.size().saturating_sub(idle),
            idle,
            limit: self.pool.options().get_max_connections(),
        };
        Ok(DatabaseStats { oldest_writer, connections: Some(connections) })
    }
}

/// Reads the schema's version, and whether writes are refused. The connection is closed after an error, or when the
/// caller stops to wait.
async fn is_ready(mut connection: PgConnection) -> Result<(PgConnection, (i32, bool)), sqlx::Error> {
    let row = sqlx::raw_sql(READY).fetch_one(&mut connection).await?;
    let ready = (row.try_get(0)?, row.try_get(1)?);
    Ok((connection, ready))
}

fn oldest_writer(row: &sqlx::postgres::PgRow) -> Result<OldestWriter, sqlx::Error> {
    let (pid, held): (i32, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok(OldestWriter { pid: pid.unsigned_abs(), held: Duration::from_micros(u64::try_from(held).unwrap_or_default()) })
}
