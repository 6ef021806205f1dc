//! Reservations for aggregates that were stored before their field was unique.
use super::{
    number,
    read::{entry, joined, limit, list, signed},
};
use crate::{
    event::{Entry, stream_of},
    storage::{ReadLimit, StoredRow, StoredValues, ValueOwner, ValueReservation},
};
use sqlx::{Row, SqliteConnection, SqlitePool, query, sqlite::SqliteRow};
use std::collections::HashSet;

pub(super) async fn rows_after(
    pool: &SqlitePool,
    kind: &str,
    after: Option<&str>,
    most: usize,
) -> sqlx::Result<Vec<(String, StoredRow)>> {
    let sql = match after {
        None => "select id, version, value from cqrs_state where kind = ?1 and id >= ?2 order by id limit ?3",
        Some(_) => "select id, version, value from cqrs_state where kind = ?1 and id > ?2 order by id limit ?3",
    };
    let rows = query(sql).bind(kind).bind(after.unwrap_or_default()).bind(limit(most)).fetch_all(pool).await?;
    let row = |row: &SqliteRow| Ok((row.try_get(0)?, StoredRow { version: number(row, 1)?, state: row.try_get(2)? }));
    rows.iter().map(row).collect()
}

/// The sizes are read first, since the window function would copy the payloads.
pub(super) async fn streams_after(
    pool: &SqlitePool,
    kind: &str,
    after: Option<(&str, u64)>,
    most: ReadLimit,
) -> sqlx::Result<Vec<Entry>> {
    macro_rules! streams {
        ($table:literal) => {
            concat!(
                "select pos, stream, version, id, name, schema, payload, metadata, occurred_at,
                topic, message_key, shard, message_type, content_type, message_body
                from ",
                $table,
                " where pos in (select pos from (select pos, sum(size) over
                (order by stream, version rows between unbounded preceding and 1 preceding) as bytes_before from
                (select pos, stream, version, coalesce(length(message_body), 0) + coalesce(length(payload), 0) as size
                from ",
                $table,
                " where (stream, version) > (?1, ?2) and stream < ?3 order by stream, version limit ?4))
                where coalesce(bytes_before, 0) < ?5) order by stream, version"
            )
        };
    }
    let (first, end) = (stream_of(kind, ""), format!("{kind}0"));
    let (stream, version) = after.unwrap_or((&first, 0));
    let mut found = [Vec::new(), Vec::new()];
    for (found, sql) in found.iter_mut().zip([streams!("cqrs_log"), streams!("cqrs_archived_log")]) {
        let rows = query(sql).bind(stream).bind(signed(version)).bind(&*end);
        let rows = rows.bind(limit(most.entries)).bind(limit(most.bytes)).fetch_all(pool).await?;
        *found = rows.iter().map(entry).collect::<Result<_, _>>()?;
    }
    Ok(joined(found, most, |entry| (entry.stream.clone(), entry.version)))
}

pub(super) async fn unreserved(
    pool: &SqlitePool,
    index: &str,
    after: Option<&str>,
    most: usize,
) -> sqlx::Result<Vec<String>> {
    let sql = "select owner from cqrs_unreserved where name = ?1 and owner > ?2 order by owner limit ?3";
    let rows = query(sql).bind(index).bind(after.unwrap_or_default()).bind(limit(most)).fetch_all(pool).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Reserves the values on a connection that is in a transaction. All values are released before any is taken, since one
/// can have passed from one aggregate to another.
pub(super) async fn reserve_stored(
    connection: &mut SqliteConnection,
    stored: &StoredValues,
) -> sqlx::Result<Vec<ValueReservation>> {
    let mut changed = HashSet::new();
    for owner in &stored.owners {
        if !is_unchanged(connection, stored, owner).await? {
            changed.insert(&owner.id);
        } else if let Some(values) = &owner.values {
            let released = "delete from cqrs_reservation
                where name = ? and owner = ? and value not in (select value from json_each(?))";
            let released = query(released).bind(stored.index.clone()).bind(stream_of(&stored.kind, &owner.id));
            released.bind(list(values)?).execute(&mut *connection).await?;
        }
    }
    let mut results = Vec::with_capacity(stored.owners.len());
    for owner in &stored.owners {
        if changed.contains(&owner.id) {
            results.push(ValueReservation::Changed);
            continue;
        }
        let stream = stream_of(&stored.kind, &owner.id);
        let result = match &owner.values {
            None => ValueReservation::NotReservable,
            Some(values) => match take(connection, &stored.index, &stream, values).await? {
                holders if holders.is_empty() => ValueReservation::Reserved,
                holders => ValueReservation::Shared { holders },
            },
        };
        let listed = match result {
            ValueReservation::Reserved => "delete from cqrs_unreserved where name = ? and owner = ?",
            _ => "insert into cqrs_unreserved (name, owner) values (?, ?) on conflict do nothing",
        };
        query(listed).bind(stored.index.clone()).bind(stream).execute(&mut *connection).await?;
        results.push(result);
    }
    Ok(results)
}

async fn is_unchanged(
    connection: &mut SqliteConnection,
    stored: &StoredValues,
    owner: &ValueOwner,
) -> sqlx::Result<bool> {
    let version = signed(owner.version);
    if stored.is_state_stored {
        let row = query("select 1 from cqrs_state where kind = ? and id = ? and version = ?");
        let row = row.bind(stored.kind.clone()).bind(owner.id.clone()).bind(version);
        return Ok(row.fetch_optional(connection).await?.is_some());
    }
    let later = query("select 1 from cqrs_log where stream = ? and version > ? limit 1");
    let later = later.bind(stream_of(&stored.kind, &owner.id)).bind(version);
    Ok(later.fetch_optional(connection).await?.is_none())
}

/// Takes the values that are free, and returns the holders of the others.
async fn take(
    connection: &mut SqliteConnection,
    index: &str,
    stream: &str,
    values: &[String],
) -> sqlx::Result<Vec<String>> {
    let mut holders = Vec::new();
    for value in values {
        let sql = "insert into cqrs_reservation (name, value, owner) values (?1, ?2, ?3)
            on conflict (name, value) do update set owner = owner returning owner";
        let taken = query(sql).bind(index.to_owned()).bind(value.clone()).bind(stream.to_owned());
        let holder: String = taken.fetch_one(&mut *connection).await?.try_get(0)?;
        if holder != stream {
            holders.push(holder);
        }
    }
    Ok(holders)
}
