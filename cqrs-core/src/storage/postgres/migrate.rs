//! Migrations of the schema. The first of several replicas applies them while the others wait.
use super::{Inner, errors};
use crate::error::Fault;
use sqlx::{PgConnection, Row};

/// All migrations, in order. The index counted from 1 is the version.
pub(super) const MIGRATIONS: [(&str, &str); 12] = [
    ("initial", include_str!("../../../migrations/postgres/0001_initial.sql")),
    ("parked", include_str!("../../../migrations/postgres/0002_parked.sql")),
    ("program", include_str!("../../../migrations/postgres/0003_program.sql")),
    ("index set", include_str!("../../../migrations/postgres/0004_index_set.sql")),
    ("note", include_str!("../../../migrations/postgres/0005_note.sql")),
    ("unreserved", include_str!("../../../migrations/postgres/0006_unreserved.sql")),
    ("snapshot", include_str!("../../../migrations/postgres/0007_snapshot.sql")),
    ("read", include_str!("../../../migrations/postgres/0008_read.sql")),
    ("view copy", include_str!("../../../migrations/postgres/0010_view_copy.sql")),
    ("view room", include_str!("../../../migrations/postgres/0011_view_room.sql")),
    ("timer", include_str!("../../../migrations/postgres/0012_timer.sql")),
    ("subject key", include_str!("../../../migrations/postgres/0013_subject_key.sql")),
];

/// The migrations' advisory lock, "cqrsmig" in ASCII. Migrations run without a statement time-out.
const LOCK: &str = "set local statement_timeout = 0; select pg_advisory_xact_lock(27990759071115623)";
const TABLE: &str = "create schema if not exists cqrs; create table cqrs._cqrs_migrations \
    (version int primary key, name text not null, at timestamptz not null default now())";

impl Inner {
    pub(super) async fn migrate(&self) -> Result<(), Fault> {
        let mut connection = self.acquire().await.map_err(|error| self.fault(error))?;
        // Checked without the lock and without the right to create anything, since most starts find nothing to do.
        if !up_to_date(version(&mut connection).await?)? {
            // If the transaction is dropped, the pool pings the connection, which rolls it back.
            let begun = sqlx::Connection::begin_with(&mut *connection, "begin isolation level read committed").await;
            let mut tx = begun.map_err(|error| self.fault(error))?;
            sqlx::raw_sql(LOCK).execute(&mut *tx).await.map_err(|error| self.fault(error))?;
            let found = version(&mut tx).await?;
            if !up_to_date(found)? {
                self.apply_migrations(&mut tx, found).await.map_err(|error| self.fault(error))?;
            }
            tx.commit().await.map_err(|error| self.fault(error))?;
        }
        if self.pooled.is_none() {
            check_settings(&mut connection).await?;
        }
        check(&mut connection).await
    }

    async fn apply_migrations(&self, to: &mut PgConnection, found: Option<i32>) -> Result<(), sqlx::Error> {
        if found.is_none() {
            sqlx::raw_sql(TABLE).execute(&mut *to).await?;
        }
        for ((name, text), version) in MIGRATIONS.into_iter().zip(1..).skip(found.unwrap_or(0) as usize) {
            sqlx::raw_sql(text).execute(&mut *to).await?;
            let insert = sqlx::query("insert into cqrs._cqrs_migrations (version, name) values ($1, $2)");
            insert.bind(version).bind(name).persistent(self.pooled.is_none()).execute(&mut *to).await?;
            tracing::info!(version, name, "storage: migration applied");
        }
        Ok(())
    }
}

/// Returns the schema's version, or `None` before the first migration.
async fn version(of: &mut PgConnection) -> Result<Option<i32>, Fault> {
    let there = sqlx::raw_sql("select 1 from pg_tables where schemaname = 'cqrs' and tablename = '_cqrs_migrations'");
    if there.fetch_optional(&mut *of).await.map_err(errors::fault)?.is_none() {
        return Ok(None);
    }
    let version = sqlx::raw_sql("select coalesce(max(version), 0) from cqrs._cqrs_migrations");
    let row = version.fetch_one(of).await.map_err(errors::fault)?;
    row.try_get(0).map(Some).map_err(errors::fault)
}

fn up_to_date(found: Option<i32>) -> Result<bool, Fault> {
    let (found, known) = (found.unwrap_or(0), MIGRATIONS.len() as i32);
    if found > known {
        return Err(Fault::internal(format!(
            "the schema `cqrs` has version {found}, and this program knows versions up to {known}: \
             start a newer program, or use another database"
        )));
    }
    Ok(found == known)
}

/// The state that readers of the log rely on. Manual changes or a restored backup may have broken it, and without this
/// check nothing would show it before events are missed.
const ASSUMED: &str = "select pg_is_in_recovery(), s.seqcache, coalesce((select max(pos) from cqrs.log), 0), \
    (select case when is_called then last_value else 0 end from cqrs.log_pos_seq), r.reader, r.checkpoint \
    from pg_sequence s left join lateral (select reader, checkpoint from cqrs.reader where (reader like 'relay/%' \
    or reader like 'subscriber/%' or reader like 'projection/%' and reader not like 'projection/%/%') \
    order by checkpoint desc limit 1) r on true where s.seqrelid = 'cqrs.log_pos_seq'::regclass";

/// Checks that the connection has its settings. A pooler can be told to drop them (`ignore_startup_parameters`).
async fn check_settings(of: &mut PgConnection) -> Result<(), Fault> {
    for (name, value) in super::SETTINGS.iter().filter(|(name, _)| name.starts_with("enable_")) {
        let row = sqlx::query("select current_setting($1)").bind(name).fetch_one(&mut *of).await;
        let found: String = row.and_then(|row| row.try_get(0)).map_err(errors::fault)?;
        if found != *value {
            return Err(Fault::internal(errors::POOLER));
        }
    }
    Ok(())
}

async fn check(of: &mut PgConnection) -> Result<(), Fault> {
    let row = sqlx::raw_sql(ASSUMED).fetch_one(of).await.map_err(errors::fault)?;
    let number =
        |column| row.try_get::<Option<i64>, usize>(column).map(Option::unwrap_or_default).map_err(errors::fault);
    let (cache, last, drawn, checkpoint) = (number(1)?, number(2)?, number(3)?, number(5)?);
    let refused = if row.try_get(0).map_err(errors::fault)? {
        "the server is a standby: it takes no writes, and its locks do not show the primary's writers; connect to the \
         primary"
            .into()
    } else if cache != 1 {
        format!(
            "the sequence cqrs.log_pos_seq has cache {cache}: positions would not grow in the order in which they are \
             drawn; run `alter sequence cqrs.log_pos_seq cache 1`"
        )
    } else if last > drawn {
        format!(
            "the log has an event at {last}, past the sequence's last position ({drawn}): it was written by hand, and \
             readers would miss the events up to there; run `select setval('cqrs.log_pos_seq', {last})`"
        )
    } else if checkpoint > drawn {
        let reader: String = row.try_get(4).map_err(errors::fault)?;
        format!(
            "the checkpoint of reader `{reader}` is {checkpoint}, and the log ends at {drawn}: the database is older than \
             the checkpoint, and the reader would skip new events; restore a newer backup, or reset the checkpoints if \
             it is acceptable that other services have received events which are not in this log"
        )
    } else {
        return Ok(());
    };
    Err(Fault::internal(refused))
}
