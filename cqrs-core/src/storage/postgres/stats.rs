//! Readiness of the database and its statistics: the writer that holds up readers of the log, and connections in use.
use super::Inner;
use super::migrate::MIGRATIONS;
use crate::{
    error::Fault,
    storage::{Connections, DatabaseStats, OldestWriter},
};
use sqlx::Row;
use std::time::Duration;

/// The schema's version. It may be newer than this program: during a rolling update older programs keep running.
const VERSION: &str = "select coalesce(max(version), 0) from cqrs._cqrs_migrations";
/// The oldest holder of the lock that writers of events take, as in `HOLDERS`. The server shows the start of a
/// transaction only to the same role and to members of `pg_read_all_stats`.
const OLDEST: &str = "select pid, (extract(epoch from clock_timestamp() - xact_start) * 1000000)::int8 \
    from pg_locks join pg_stat_activity using (pid) where locktype = 'advisory' and granted \
    and classid = 6517106 and objid = 1936486247 and objsubid = 1 and xact_start is not null \
    and database = (select oid from pg_database where datname = current_database()) order by xact_start limit 1";

impl Inner {
    pub(super) async fn ready(&self) -> Result<(), Fault> {
        let rows = self.rows(VERSION, None).await.map_err(|error| self.fault(error))?;
        let found: i32 = rows[0].try_get(0).map_err(|error| self.fault(error))?;
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

fn oldest_writer(row: &sqlx::postgres::PgRow) -> Result<OldestWriter, sqlx::Error> {
    let (pid, held): (i32, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok(OldestWriter { pid: pid.unsigned_abs(), held: Duration::from_micros(u64::try_from(held).unwrap_or_default()) })
}
