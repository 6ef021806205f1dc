//! The programs that have started with this database, and what it holds.
use super::{Inner, errors, read::Parameters};
use crate::{
    error::Fault,
    storage::{StoredData, StoredProgram, check},
};
use sha2::{Digest, Sha256};
use sqlx::{Row, postgres::PgRow};
use std::time::Duration;

/// Stores a new program, or notes the start of a known one. Starts wait for each other, so that numbers grow in the
/// order in which programs become visible. "cqrsprg" in ASCII names the lock.
const DECLARE: &str = "with waited as materialized (select pg_advisory_xact_lock(27990759071314535)) \
    insert into cqrs.program (digest, declaration) select $1, $2 from waited \
    on conflict (digest) do update set last_started = now() \
    returning number, extract(epoch from clock_timestamp() - first_started)::float8";
/// The error is [`LEFT_TO_NEWER_PROGRAM`](crate::storage::LEFT_TO_NEWER_PROGRAM), and a partial index has these rows. Finds
/// each next key there, and no further ones than are returned or wait behind another error. The messages that wait
/// behind the first one of a key are not read, however many they are.
#[doc(hidden)]
pub const LEFT: &str = "with recursive keys(reader, key) as (\
    (select m.reader, m.key from cqrs.parked m where m.error = 'left to a newer program, which handles it' \
    order by m.reader, m.key limit 1) \
    union all select f.reader, f.key from keys k cross join lateral \
    (select m.reader, m.key from cqrs.parked m where m.error = 'left to a newer program, which handles it' \
    and (m.reader, m.key) > (k.reader, k.key) order by m.reader, m.key limit 1) f) \
    select k.reader, k.key from keys k cross join lateral \
    (select p.error from cqrs.parked p where p.reader = k.reader and p.key = k.key order by p.seq limit 1) first \
    where first.error = 'left to a newer program, which handles it' limit $1";
const REPLACE_ERROR: &str = "update cqrs.parked set error = $3 where seq = $1 and error = $2 returning 1";
const PROGRAMS: &str = "select number, declaration from cqrs.program where number > $1 order by number";
const HAS_AGGREGATE: &str = "select exists (select from cqrs.state where kind = $1) \
    or exists (select from cqrs.log where stream >= $1 || '/' and stream < $1 || '0')";
const HAS_EVENT: &str = "select exists (select from cqrs.log where name = $1) \
    or exists (select from cqrs.archived_log where name = $1)";
const HAS_VIEW: &str = "select exists (select from cqrs.view where view = \
    coalesce((select c.stored from cqrs.view_copy c where c.view = $1), $1) and value is not null)";

impl Inner {
    pub(super) async fn declare_program(&self, declaration: &str) -> Result<(u64, Duration), Fault> {
        let digest: String = Sha256::digest(declaration).iter().map(|byte| format!("{byte:02x}")).collect();
        let rows = self.read(DECLARE, Parameters::default().and(digest)?.and(declaration)?).await?;
        let row = rows.first().ok_or_else(|| Fault::internal("the declaration of the program returned nothing"))?;
        let number = row.try_get::<i64, _>(0).map_err(errors::fault)?;
        let age = row.try_get::<f64, _>(1).map_err(errors::fault)?;
        Ok((number as u64, Duration::try_from_secs_f64(age.max(0.0)).unwrap_or(Duration::MAX)))
    }
    pub(super) async fn left_to_newer_program(&self, limit: usize) -> Result<Vec<(String, String)>, Fault> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.read(LEFT, Parameters::default().and(limit)?).await?;
        let key = |row: &PgRow| Ok((row.try_get(0)?, row.try_get(1)?));
        rows.iter().map(key).collect::<sqlx::Result<_>>().map_err(errors::fault)
    }
    pub(super) async fn replace_parked_error(&self, number: u64, expected: &str, error: &str) -> Result<bool, Fault> {
        check::text("the error", error)?;
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let parameters = Parameters::default().and(number)?.and(expected)?.and(error)?;
        Ok(!self.read(REPLACE_ERROR, parameters).await?.is_empty())
    }
    pub(super) async fn programs(&self, after: u64) -> Result<Vec<StoredProgram>, Fault> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let rows = self.read(PROGRAMS, Parameters::default().and(after)?).await?;
        let program =
            |row: &PgRow| Ok(StoredProgram { number: row.try_get::<i64, _>(0)? as u64, declaration: row.try_get(1)? });
        rows.iter().map(program).collect::<sqlx::Result<_>>().map_err(errors::fault)
    }
    pub(super) async fn holds(&self, data: &StoredData) -> Result<bool, Fault> {
        let (sql, name) = match data {
            StoredData::Aggregate(name) => (HAS_AGGREGATE, name),
            StoredData::Event(name) => (HAS_EVENT, name),
            StoredData::View(name) => (HAS_VIEW, name),
        };
        // The log has no index on names, and a large one takes long. Only the first start of a changed program asks.
        let read = async {
            let mut connection = self.acquire().await?;
            let mut tx = sqlx::Connection::begin(&mut *connection).await?;
            sqlx::raw_sql("set local statement_timeout = 0").execute(&mut *tx).await?;
            let row = sqlx::query(sql).bind(name).persistent(self.pooled.is_none()).fetch_one(&mut *tx).await?;
            tx.rollback().await?;
            row.try_get(0)
        };
        read.await.map_err(|error: sqlx::Error| self.fault(error))
    }
}
