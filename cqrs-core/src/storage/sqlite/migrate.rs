//! Migrations of the schema, applied in one transaction and recorded in a table of their own.
use super::{fault, number};
use crate::error::Fault;
use sqlx::{Row, SqliteConnection, query, raw_sql};

/// All migrations, in order. Each is applied once; one that was released must not be changed.
const STEPS: [(&str, &str); 11] = [
    ("storage", include_str!("../../../migrations/sqlite/0001_storage.sql")),
    ("parked", include_str!("../../../migrations/sqlite/0002_parked.sql")),
    ("program", include_str!("../../../migrations/sqlite/0003_program.sql")),
    ("index set", include_str!("../../../migrations/sqlite/0004_index_set.sql")),
    ("note", include_str!("../../../migrations/sqlite/0005_note.sql")),
    ("unreserved", include_str!("../../../migrations/sqlite/0006_unreserved.sql")),
    ("snapshot", include_str!("../../../migrations/sqlite/0007_snapshot.sql")),
    ("read", include_str!("../../../migrations/sqlite/0008_read.sql")),
    ("view copy", include_str!("../../../migrations/sqlite/0010_view_copy.sql")),
    ("timer", include_str!("../../../migrations/sqlite/0011_timer.sql")),
    ("subject key", include_str!("../../../migrations/sqlite/0012_subject_key.sql")),
];

/// Applies the missing migrations, on a connection that is in a transaction.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), Fault> {
    let table = "create table if not exists _cqrs_migrations
        (version integer primary key, name text not null, applied_at text not null default current_timestamp)";
    query(table).execute(&mut *connection).await.map_err(fault)?;
    let stored = query("select coalesce(max(version), 0) from _cqrs_migrations");
    let stored = number(&stored.fetch_one(&mut *connection).await.map_err(fault)?, 0).map_err(fault)? as usize;
    if stored > STEPS.len() {
        let known = STEPS.len();
        return Err(Fault::internal(format!(
            "the schema has version {stored}, and this program knows versions up to {known}: start a newer program, or \
             restore a backup from before the migration"
        )));
    }
    for (i, (name, sql)) in STEPS.into_iter().enumerate().skip(stored) {
        raw_sql(sql).execute(&mut *connection).await.map_err(fault)?;
        let done = query("insert into _cqrs_migrations (version, name) values (?, ?)").bind(i as i64 + 1).bind(name);
        done.execute(&mut *connection).await.map_err(fault)?;
    }
    check(connection).await
}

/// Refuses a log that is older than a reader's checkpoint, as a restored file may be: the reader would skip new events.
async fn check(connection: &mut SqliteConnection) -> Result<(), Fault> {
    let ahead = query(
        "select reader, checkpoint from cqrs_reader where (reader like 'relay/%' or reader like 'subscriber/%'
        or reader like 'projection/%' and reader not like 'projection/%/%')
        and checkpoint > coalesce((select seq from sqlite_sequence where name = 'cqrs_log'), 0) limit 1",
    );
    let Some(row) = ahead.fetch_optional(connection).await.map_err(fault)? else { return Ok(()) };
    let (reader, checkpoint): (String, u64) = (row.try_get(0).map_err(fault)?, number(&row, 1).map_err(fault)?);
    Err(Fault::internal(format!(
        "the checkpoint of reader `{reader}` is {checkpoint}, and the log ends before it: the file is older than the \
         checkpoint, and the reader would skip new events; restore a newer backup"
    )))
}
