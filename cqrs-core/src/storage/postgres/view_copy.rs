//! Copies of views: the switch is one transaction, and a comparison is one statement.
use super::commit::int;
use super::{Inner, errors, read::Parameters};
use crate::{
    error::Fault,
    storage::{Batch, CommitError, ComparedValues, SwitchedReader, ViewSwitch, copy_of, stored_as},
};
use sqlx::{Row, postgres::PgRow};
use std::sync::Arc;

const SERVING: &str = "select coalesce((select copy from cqrs.view_copy where view = $1), 0)";
const BELOW: &str =
    "select reader, checkpoint from cqrs.reader where reader >= $1 and starts_with(reader, $1) order by reader";

/// The switch is one statement. Its checks and its writes are ordered by locks on the checkpoints of all its readers, in the
/// order of their names, as batches take them. A batch of the live reader waits for the lock, and then finds another epoch.
/// So does a second switch.
///
/// The checks read the locked rows and no snapshot, hence the rows are created before, in a statement of their own.
const CREATE: &str = "insert into cqrs.reader (reader) select u.reader from unnest($1::text[]) u(reader) \
    order by u.reader collate \"C\" on conflict (reader) do nothing";
const CREATE_COPY: &str =
    "insert into cqrs.view_copy (view, copy, stored) values ($1, 0, $1) on conflict (view) do nothing";
const LOCK_COPY: &str = "select copy from cqrs.view_copy where view = $1 for update";
const BEGIN_AGAIN: &str = "update cqrs.reader set checkpoint = 0, fence = null where reader = $1 or starts_with(reader, $1 || '/') and reader > $1";
const SWITCH: &str = "with input as materialized (select u.* from unnest($1::text[], $2::text[], $3::text[]) \
    u(live, filled, kept)), \
    names as materialized (select live as reader from input union select filled from input union select kept from input), \
    serving as materialized (select c.copy from cqrs.view_copy c where c.view = $4 for update), \
    locked as materialized (select r.reader, r.checkpoint from serving cross join lateral \
    (select r.reader, r.checkpoint from cqrs.reader r where r.reader in (select n.reader from names n) \
    order by r.reader for update) r), \
    moves as materialized (select i.live, i.filled, i.kept, l.checkpoint as live_at, f.checkpoint as filled_at from input i \
    join locked l on l.reader = i.live join locked f on f.reader = i.filled), \
    allowed as materialized (select from serving s where s.copy = $5 \
    and (select count(*) from moves) = (select count(*) from input) \
    and not exists (select from moves m where m.filled_at < m.live_at)), \
    kept as (update cqrs.reader r set checkpoint = m.live_at, fence = null from moves m, allowed \
    where r.reader = m.kept returning 1), \
    filled as (update cqrs.reader r set fence = m.filled_at from moves m, allowed where r.reader = m.filled returning 1), \
    live as (update cqrs.reader r set checkpoint = m.filled_at, epoch = $6, fence = m.filled_at from moves m, allowed \
    where r.reader = m.live returning 1), \
    served as (update cqrs.view_copy c set copy = $6, stored = $7 from allowed where c.view = $4 returning 1) \
    select (select count(*) from served), (select count(*) from kept), (select count(*) from live)";
const PASS_PARKED: &str = "with gone as (delete from cqrs.parked where reader = $1 returning *) \
    insert into cqrs.parked (reader, key, message, at, topic, part, record_key, headers, body, record_time, error, attempts, \
    since) select $2, key, message, at, topic, part, record_key, headers, body, record_time, error, attempts, since \
    from gone order by seq";
const PASS_RECORDS: &str = "insert into cqrs.inbox (grp, message, handled_at) \
    select $2, message, handled_at from cqrs.inbox where grp = $1 on conflict (grp, message) do nothing";

/// Two texts, so that each reads one range of the primary key. Each value is one index look-up, as in the reads of
/// several keys. Equal values are not sent.
macro_rules! compare {
    ($range:literal) => {
        concat!(
            "with keys as materialized (select key from (",
            "(select key from cqrs.view where view = $1",
            $range,
            " order by key limit $5) union (select key from cqrs.view where view = $2",
            $range,
            " order by key limit $5)) k order by key limit $5) \
             select k.key, case when d.is_different then a.value end, case when d.is_different then b.value end, \
             d.is_different, null::bigint from keys k \
             left join lateral (select v.value from cqrs.view v where v.view = $1 and v.key = k.key limit 1) a on true \
             left join lateral (select v.value from cqrs.view v where v.view = $2 and v.key = k.key limit 1) b on true \
             cross join lateral (select a.value is distinct from b.value as is_different) d \
             union all select r.reader, null, null, null, r.checkpoint from cqrs.reader r \
             where r.reader = any($3::text[]) or r.reader = any($4::text[])"
        )
    };
}
pub(super) const COMPARE: &str = compare!("");
pub(super) const COMPARE_AFTER: &str = compare!(" and key > $6");

const DROP_ENTRIES: &str = "delete from cqrs.view_index where view = $1 and key = any(array(select key from cqrs.view \
    where view = $1 order by key limit $2))";
const DROP_VALUES: &str = "delete from cqrs.view where view = $1 and key = any(array(select key from cqrs.view \
    where view = $1 order by key limit $2))";
const DROP_PARKED: &str = "delete from cqrs.parked where seq = any(array(select seq from cqrs.parked \
    where reader = $1 limit $2))";
const DROP_RECORDS: &str = "delete from cqrs.inbox where grp = $1 and message = any(array(select message from cqrs.inbox \
    where grp = $1 limit $2))";

impl Inner {
    pub(super) async fn serving_copy(&self, view: &str) -> Result<u64, Fault> {
        let rows = self.read(SERVING, Parameters::default().and(view)?).await?;
        let row = rows.first().ok_or_else(|| Fault::internal("the statement that reads a copy returned nothing"))?;
        row.try_get::<i64, _>(0).map(|copy| copy as u64).map_err(errors::fault)
    }

    pub(super) async fn checkpoints_below(&self, prefix: &str) -> Result<Vec<(String, u64)>, Fault> {
        let rows = self.read(BELOW, Parameters::default().and(prefix)?).await?;
        let reader = |row: &PgRow| Ok((row.try_get(0)?, row.try_get::<i64, _>(1)? as u64));
        rows.iter().map(reader).collect::<sqlx::Result<_>>().map_err(errors::fault)
    }

    pub(super) async fn switch_view(self: &Arc<Self>, switch: &ViewSwitch) -> Result<bool, Fault> {
        let names = |name: fn(&SwitchedReader) -> &String| -> Vec<String> {
            switch.checkpoints.iter().map(|of| name(of).clone()).collect()
        };
        let (live, filled, kept) = (names(|of| &of.live), names(|of| &of.filled), names(|of| &of.kept));
        let all: Vec<String> = live.iter().chain(&filled).chain(&kept).cloned().collect();
        // Rows that are created before a refused switch have no effect.
        self.write(CREATE, Parameters::default().and(all)?).await?;
        self.write(CREATE_COPY, Parameters::default().and(&*switch.view)?).await?;
        let mut tx = self.begin().await?;
        let transaction = super::transaction(&mut *tx);
        let stored = stored_as(copy_of(&switch.view, switch.to));
        let statement = sqlx::query(SWITCH).bind(live).bind(filled).bind(kept).bind(switch.view.clone());
        let statement = statement.bind(int(switch.from)).bind(int(switch.to)).bind(stored);
        let row = statement.persistent(false).fetch_one(&mut **transaction).await.map_err(errors::fault)?;
        if row.try_get::<i64, _>(0).map_err(errors::fault)? == 0 {
            // The transaction rolls back when it is dropped.
            return Ok(false);
        }
        for of in &switch.readers {
            for (from, to) in [(&of.live, &of.kept), (&of.filled, &of.live)] {
                let pass = sqlx::query(PASS_PARKED).bind(from.clone()).bind(to.clone()).persistent(false);
                pass.execute(&mut **transaction).await.map_err(errors::fault)?;
            }
            let pass = sqlx::query(PASS_RECORDS).bind(of.filled.clone()).bind(of.live.clone()).persistent(false);
            pass.execute(&mut **transaction).await.map_err(errors::fault)?;
        }
        tx.commit(Batch::default()).await.map(|_| true).map_err(unrefused)
    }

    pub(super) async fn compare_copies(
        &self,
        copies: [&str; 2],
        readers: [&[String]; 2],
        after: Option<&str>,
        limit: usize,
    ) -> Result<ComparedValues, Fault> {
        let [first, second] = copies.map(stored_as);
        let with = Parameters::default().and(first)?.and(second)?.and(readers[0])?.and(readers[1])?;
        let with = with.and(int(limit as u64))?;
        let rows = match after {
            Some(after) => self.read(COMPARE_AFTER, with.and(after)?).await?,
            None => self.read(COMPARE, with).await?,
        };
        compared(&rows, readers).map_err(errors::fault)
    }

    pub(super) async fn drop_copy(
        self: &Arc<Self>,
        view: &str,
        copy: u64,
        readers: &[String],
        limit: usize,
    ) -> Result<u64, Fault> {
        self.write(CREATE_COPY, Parameters::default().and(view)?).await?;
        let mut tx = self.begin().await?;
        let transaction = super::transaction(&mut *tx);
        // The lock orders this step and a switch. A switch that comes later is refused for the checkpoints.
        let serving = sqlx::query(LOCK_COPY).bind(view).persistent(false).fetch_one(&mut **transaction).await;
        let serving: i64 = serving.and_then(|row| row.try_get(0)).map_err(errors::fault)?;
        if serving as u64 == copy {
            return Err(Fault::internal(format!("copy {copy} of view {view} serves, and cannot be dropped")));
        }
        let (name, limit) = (stored_as(copy_of(view, copy)), int(limit as u64));
        let mut gone = 0;
        for reader in readers {
            let again = sqlx::query(BEGIN_AGAIN).bind(reader).persistent(false);
            again.execute(&mut **transaction).await.map_err(errors::fault)?;
        }
        let of_readers = readers.iter().flat_map(|reader| [(DROP_PARKED, &**reader), (DROP_RECORDS, &**reader)]);
        for (sql, of) in [(DROP_ENTRIES, name), (DROP_VALUES, name)].into_iter().chain(of_readers) {
            let drop = sqlx::query(sql).bind(of).bind(limit).persistent(false);
            let done = drop.execute(&mut **transaction).await.map_err(errors::fault)?;
            gone += if sql == DROP_ENTRIES { 0 } else { done.rows_affected() };
        }
        tx.commit(Batch::default()).await.map(|_| gone).map_err(unrefused)
    }
    /// Runs a statement of which a repetition changes nothing.
    async fn write(&self, sql: &'static str, with: Parameters) -> Result<(), Fault> {
        self.read(sql, with).await.map(drop)
    }
}

/// Returns the fault of a commit without a batch, which cannot be refused.
fn unrefused(error: CommitError) -> Fault {
    match error {
        CommitError::Fault(fault) => fault,
        refused => Fault::internal("a transaction on the copies of a view was refused").because(refused),
    }
}

/// Collects the keys of a comparison and its checkpoints, which are rows without a comparison.
fn compared(rows: &[PgRow], readers: [&[String]; 2]) -> sqlx::Result<ComparedValues> {
    let mut compared = ComparedValues::default();
    let mut checkpoints = Vec::new();
    for row in rows {
        let name: String = row.try_get(0)?;
        match (row.try_get::<Option<i64>, _>(4)?, row.try_get::<Option<bool>, _>(3)?) {
            (Some(checkpoint), _) => checkpoints.push((name, checkpoint as u64)),
            (None, is_different) => {
                compared.keys += 1;
                if compared.last.as_ref().is_none_or(|last| *last < name) {
                    compared.last = Some(name.clone());
                }
                if is_different == Some(true) {
                    compared.different.push((name, row.try_get(1)?, row.try_get(2)?));
                }
            }
        }
    }
    compared.different.sort();
    let of = |reader: &String| checkpoints.iter().find(|(known, _)| known == reader).map_or(0, |(_, at)| *at);
    compared.first_at = readers[0].iter().map(of).collect();
    compared.second_at = readers[1].iter().map(of).collect();
    Ok(compared)
}
