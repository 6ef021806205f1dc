//! Reservations for aggregates that were stored before their field was unique.
use super::commit::int;
use super::read::{Parameters, STREAMS_AFTER, entry};
use super::{Inner, errors};
use crate::{
    environment::backoff,
    error::Fault,
    event::{Entry, stream_of},
    storage::{ReadLimit, StoredRow, StoredValues, ValueReservation},
};
use sqlx::{Row, postgres::PgRow};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// The number of times a statement is run again after a deadlock.
const RUNS: u32 = 8;

macro_rules! rows {
    ($after:literal) => {
        concat!("select id, version, value from cqrs.state where kind = $1 and id ", $after, " $2 order by id limit $3")
    };
}
const ROWS: &str = rows!(">=");
const ROWS_AFTER: &str = rows!(">");
const UNRESERVED: &str = "select owner from cqrs.unreserved where name = $1 and owner > $2 order by owner limit $3";

/// Reserves values in one statement. Its releases and the version that it compares are of one snapshot. So it never
/// releases a value that a command has taken meanwhile: the version after that command would be in the snapshot too.
///
/// A value can have passed from one aggregate to another, hence the takes wait for the releases, as in
/// [`parts`](super::parts). Of several aggregates of the statement with one value only the first takes it, since an insert
/// cannot meet its own row.
macro_rules! reserve {
    ($unchanged:literal) => {
        concat!(
            "with input as materialized (select u.* from unnest($3::text[], $4::text[], $5::bigint[], $6::boolean[]) \
             u(owner, id, version, reservable)), \
             wanted as materialized (select w.* from unnest($7::text[], $8::text[], $9::boolean[]) w(owner, value, first)), \
             unchanged as materialized (select u.owner, u.reservable from input u where $2::text is not null and ",
            $unchanged,
            "), \
             released as (delete from cqrs.reservation r using unchanged s \
             where r.owner = s.owner and r.name = $1 and s.reservable and not exists \
             (select from wanted w where w.owner = r.owner and w.value = r.value) returning 1), \
             all_released as materialized (select count(*) from released), \
             taken as (insert into cqrs.reservation as r (name, value, owner) \
             select $1, w.value, w.owner from all_released, wanted w join unchanged s on s.owner = w.owner \
             where w.first order by w.value \
             on conflict (name, value) do update set owner = excluded.owner where r.owner = excluded.owner \
             returning r.owner, r.value), \
             shared as materialized (select w.owner, coalesce(t.owner, h.owner) as holder \
             from wanted w join unchanged s on s.owner = w.owner left join taken t on t.value = w.value \
             left join lateral (select r.owner from cqrs.reservation r where r.name = $1 and r.value = w.value limit 1) h \
             on true \
             where t.owner is distinct from w.owner and (t.owner is not null or h.owner is distinct from w.owner)), \
             listed as materialized (select owner from shared union select owner from unchanged where not reservable), \
             added as (insert into cqrs.unreserved (name, owner) select $1, owner from listed order by owner \
             on conflict do nothing returning 1), \
             removed as (delete from cqrs.unreserved n where n.name = $1 and n.owner = any (array(\
             select s.owner from unchanged s where s.owner not in (select owner from listed))) returning 1) \
             select s.owner, h.holder, h.owner is not null from unchanged s left join shared h on h.owner = s.owner"
        )
    };
}
const RESERVE_ROWS: &str =
    reserve!("exists (select from cqrs.state a where a.kind = $2 and a.id = u.id and a.version = u.version offset 0)");
const RESERVE_STREAMS: &str =
    reserve!("not exists (select from cqrs.log l where l.stream = u.owner and l.version > u.version)");

impl Inner {
    pub(super) async fn rows_after(
        &self,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, StoredRow)>, Fault> {
        let sql = if after.is_some() { ROWS_AFTER } else { ROWS };
        let with = Parameters::default().and(kind)?.and(after.unwrap_or_default())?.and(int(limit as u64))?;
        let row = |row: &PgRow| {
            let stored = StoredRow { version: row.try_get::<i64, _>(1)? as u64, state: row.try_get(2)? };
            Ok((row.try_get(0)?, stored))
        };
        self.read(sql, with).await?.iter().map(row).collect::<sqlx::Result<_>>().map_err(errors::fault)
    }

    pub(super) async fn streams_after(
        &self,
        kind: &str,
        after: Option<(&str, u64)>,
        limit: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        // "0" is the character after the separator.
        let (first, end) = (stream_of(kind, ""), format!("{kind}0"));
        let (stream, version) = after.unwrap_or((&first, 0));
        let with = Parameters::default().and(stream)?.and(int(version))?.and(&*end)?;
        let with = with.and(int(limit.entries as u64))?.and(int(limit.bytes as u64))?;
        self.read(STREAMS_AFTER, with).await?.iter().map(entry).collect()
    }

    pub(super) async fn unreserved(
        &self,
        index: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, Fault> {
        let with = Parameters::default().and(index)?.and(after.unwrap_or_default())?.and(int(limit as u64))?;
        let rows = self.read(UNRESERVED, with).await?;
        rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<_>>().map_err(errors::fault)
    }

    pub(super) async fn reserve_stored(&self, values: &StoredValues) -> Result<Vec<ValueReservation>, Fault> {
        let streams: Vec<_> = values.owners.iter().map(|owner| stream_of(&values.kind, &owner.id)).collect();
        let ids: Vec<_> = values.owners.iter().map(|owner| &*owner.id).collect();
        let versions: Vec<_> = values.owners.iter().map(|owner| int(owner.version)).collect();
        let reservable: Vec<_> = values.owners.iter().map(|owner| owner.values.is_some()).collect();
        let (mut owners, mut wanted, mut is_first, mut known) = (Vec::new(), Vec::new(), Vec::new(), HashSet::new());
        for (owner, stream) in values.owners.iter().zip(&streams) {
            for value in owner.values.iter().flatten() {
                owners.push(&**stream);
                wanted.push(&**value);
                is_first.push(known.insert(value));
            }
        }
        let sql = if values.is_state_stored { RESERVE_ROWS } else { RESERVE_STREAMS };
        let texts: Vec<_> = streams.iter().map(|stream| &**stream).collect();
        let with = Parameters::default().and(&*values.index)?.and(&*values.kind)?;
        let with = with.and(texts)?.and(ids)?.and(versions)?.and(reservable)?;
        let with = with.and(owners)?.and(wanted)?.and(is_first)?;
        let mut run = 0;
        let rows = loop {
            match self.rows(sql, Some(with.0.clone())).await {
                Err(error) if errors::is_deadlock(&error) && run < RUNS => {
                    let pause = backoff(&*self.environment, run, Duration::from_millis(2), Duration::from_millis(100));
                    self.environment.sleep(pause).await;
                    run += 1;
                }
                rows => break rows.map_err(errors::fault)?,
            }
        };
        let mut shared: HashMap<String, Option<Vec<String>>> = HashMap::new();
        for row in &rows {
            let owner = row.try_get(0).map_err(errors::fault)?;
            let holder: Option<String> = row.try_get(1).map_err(errors::fault)?;
            let is_shared: bool = row.try_get(2).map_err(errors::fault)?;
            let holders = shared.entry(owner).or_default();
            if is_shared {
                holders.get_or_insert_default().extend(holder);
            }
        }
        let results = values.owners.iter().zip(&streams).map(|(owner, stream)| match shared.remove(stream) {
            None => ValueReservation::Changed,
            Some(_) if owner.values.is_none() => ValueReservation::NotReservable,
            Some(None) => ValueReservation::Reserved,
            Some(Some(holders)) => ValueReservation::Shared { holders },
        });
        Ok(results.collect())
    }
}
