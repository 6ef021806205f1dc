//! Whether the database is ready, who holds up readers of its log, and how many connections are in use.
use super::{Inner, migrate::MIGRATIONS};
use crate::{
    Fault,
    storage::{Connections, Holder, Vitals},
};
use sqlx::Row;
use std::time::Duration;

/// While programs are rolled, an older one goes on beside the newer schema.
const VERSION: &str = "select coalesce(max(version), 0) from cqrs._cqrs_migrations";
/// The horizon's lock, as in `HOLDERS`; another's start is only told to the same role and to `pg_read_all_stats`.
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
    pub(super) async fn vitals(&self) -> Result<Vitals, Fault> {
        let rows = self.rows(OLDEST, None).await.map_err(|error| self.fault(error))?;
        let holder = rows.first().map(holder).transpose().map_err(|error| self.fault(error))?;
        let idle = self.pool.num_idle() as u32;
        let connections = Connections {
            used: self.pool.size().saturating_sub(idle),
            idle,
            limit: self.pool.options().get_max_connections(),
        };
        Ok(Vitals { holder, connections: Some(connections) })
    }
}

fn holder(row: &sqlx::postgres::PgRow) -> Result<Holder, sqlx::Error> {
    let (pid, held): (i32, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok(Holder { pid: pid.unsigned_abs(), held: Duration::from_micros(u64::try_from(held).unwrap_or_default()) })
}
