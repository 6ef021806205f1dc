//! Brings the schema up to date, in one transaction; its table of versions is no one else's.
use super::{fault, number};
use crate::Fault;
use sqlx::{Row, SqliteConnection, query, raw_sql};

/// Each step once, in order; a step that was released is never changed.
const STEPS: [(&str, &str); 2] = [
    ("storage", include_str!("../../../migrations/sqlite/0001_storage.sql")),
    ("parked", include_str!("../../../migrations/sqlite/0002_parked.sql")),
];

/// Applies what is missing on a connection that is in a transaction.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), Fault> {
    let table = "create table if not exists _cqrs_migrations
        (version integer primary key, name text not null, applied_at text not null default current_timestamp)";
    query(table).execute(&mut *connection).await.map_err(fault)?;
    let stored = query("select coalesce(max(version), 0) from _cqrs_migrations");
    let stored = number(&stored.fetch_one(&mut *connection).await.map_err(fault)?, 0).map_err(fault)? as usize;
    if stored > STEPS.len() {
        let known = STEPS.len();
        return Err(Fault::internal(format!(
            "the schema is at version {stored}, this program knows {known}: start the newer program, or restore the backup \
             from before it"
        )));
    }
    for (i, (name, sql)) in STEPS.into_iter().enumerate().skip(stored) {
        raw_sql(sql).execute(&mut *connection).await.map_err(fault)?;
        let done = query("insert into _cqrs_migrations (version, name) values (?, ?)").bind(i as i64 + 1).bind(name);
        done.execute(&mut *connection).await.map_err(fault)?;
    }
    check(connection).await
}

/// A restored file may be older than what was read of it: new events would be taken for read.
async fn check(connection: &mut SqliteConnection) -> Result<(), Fault> {
    let ahead = query(
        "select reader, at from cqrs_reader where (reader like 'relay/%' or reader like 'subscriber/%'
        or reader like 'projection/%' and reader not like 'projection/%/%')
        and at > coalesce((select seq from sqlite_sequence where name = 'cqrs_log'), 0) limit 1",
    );
    let Some(row) = ahead.fetch_optional(connection).await.map_err(fault)? else { return Ok(()) };
    let (reader, at): (String, u64) = (row.try_get(0).map_err(fault)?, number(&row, 1).map_err(fault)?);
    Err(Fault::internal(format!(
        "reader `{reader}` is at {at}, and the log ends before: the file is older than what was read of it; restore a newer \
         backup"
    )))
}
