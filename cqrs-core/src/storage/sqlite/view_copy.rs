//! Copies of views. Writes run on a connection that is in a transaction.
use super::{
    number,
    read::{limit, list},
};
use crate::storage::{ComparedValues, ViewSwitch, copy_of, stored_as};
use sqlx::{Row, SqliteConnection, SqlitePool, query};

const SERVING: &str = "select coalesce((select copy from cqrs_view_copy where view = ?), 0)";

pub(super) async fn serving(pool: &SqlitePool, view: &str) -> sqlx::Result<u64> {
    number(&query(SERVING).bind(view).fetch_one(pool).await?, 0)
}

pub(super) async fn checkpoints_below(pool: &SqlitePool, prefix: &str) -> sqlx::Result<Vec<(String, u64)>> {
    let sql = "select reader, checkpoint from cqrs_reader
        where reader >= ?1 and substr(reader, 1, length(?1)) = ?1 order by reader";
    let rows = query(sql).bind(prefix).fetch_all(pool).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, number(row, 1)?))).collect()
}

/// Returns `false` before the first write, if the switch is refused.
pub(super) async fn switch(connection: &mut SqliteConnection, switch: &ViewSwitch) -> sqlx::Result<bool> {
    let row = query(SERVING).bind(switch.view.clone()).fetch_one(&mut *connection).await?;
    if number(&row, 0)? != switch.from {
        return Ok(false);
    }
    let mut moves = Vec::new();
    for of in &switch.checkpoints {
        let live = checkpoint(connection, &of.live).await?;
        let filled = checkpoint(connection, &of.filled).await?;
        if filled < live {
            return Ok(false);
        }
        moves.push((of, live, filled));
    }
    for (of, live, filled) in moves {
        let keep = "insert into cqrs_reader (reader, checkpoint) values (?, ?)
            on conflict (reader) do update set checkpoint = excluded.checkpoint, fence = null";
        query(keep).bind(of.kept.clone()).bind(live).execute(&mut *connection).await?;
        let step =
            "insert into cqrs_reader (reader, checkpoint, epoch, fence) values (?1, ?2, ?3, ?2) on conflict (reader)
            do update set checkpoint = excluded.checkpoint, epoch = excluded.epoch, fence = excluded.fence";
        let step = query(step).bind(of.live.clone()).bind(filled).bind(switch.to as i64);
        step.execute(&mut *connection).await?;
        let end = "insert into cqrs_reader (reader, checkpoint, fence) values (?1, ?2, ?2)
            on conflict (reader) do update set fence = excluded.fence";
        query(end).bind(of.filled.clone()).bind(filled).execute(&mut *connection).await?;
    }
    for of in &switch.readers {
        pass_parked(connection, &of.live, &of.kept).await?;
        pass_parked(connection, &of.filled, &of.live).await?;
        let records = "insert into cqrs_inbox (grp, message, handled_at)
            select ?2, message, handled_at from cqrs_inbox where grp = ?1 on conflict do nothing";
        query(records).bind(of.filled.clone()).bind(of.live.clone()).execute(&mut *connection).await?;
    }
    let serves = "insert into cqrs_view_copy (view, copy, stored) values (?, ?, ?)
        on conflict (view) do update set copy = excluded.copy, stored = excluded.stored";
    let stored = stored_as(copy_of(&switch.view, switch.to));
    let serves = query(serves).bind(switch.view.clone()).bind(switch.to as i64).bind(stored);
    serves.execute(&mut *connection).await?;
    Ok(true)
}
async fn checkpoint(connection: &mut SqliteConnection, reader: &str) -> sqlx::Result<i64> {
    let found = query("select coalesce((select checkpoint from cqrs_reader where reader = ?), 0)");
    found.bind(reader.to_owned()).fetch_one(connection).await?.try_get(0)
}
/// Gives the parked messages of a reader to another one, with new numbers.
async fn pass_parked(connection: &mut SqliteConnection, from: &str, to: &str) -> sqlx::Result<()> {
    let last = query("select coalesce(max(seq), 0) from cqrs_parked where reader = ?").bind(from.to_owned());
    let last: i64 = last.fetch_one(&mut *connection).await?.try_get(0)?;
    let copy = "insert into cqrs_parked
        (reader, key, message, at, topic, part, record_key, headers, body, record_time, error, attempts, since)
        select ?2, key, message, at, topic, part, record_key, headers, body, record_time, error, attempts, since
        from cqrs_parked where reader = ?1 order by seq";
    query(copy).bind(from.to_owned()).bind(to.to_owned()).execute(&mut *connection).await?;
    let remove = query("delete from cqrs_parked where reader = ? and seq <= ?").bind(from.to_owned()).bind(last);
    remove.execute(connection).await.map(drop)
}

pub(super) async fn compare(
    pool: &SqlitePool,
    copies: [&str; 2],
    readers: [&[String]; 2],
    after: Option<&str>,
    most: usize,
) -> sqlx::Result<ComparedValues> {
    // One transaction, so that all reads are of one snapshot.
    let mut snapshot = pool.begin().await?;
    let mut compared = ComparedValues::default();
    for (readers, at) in readers.into_iter().zip([&mut compared.first_at, &mut compared.second_at]) {
        let sql = "select coalesce(r.checkpoint, 0) from json_each(?) j
            left join cqrs_reader r on r.reader = j.value order by j.key";
        for row in query(sql).bind(list(readers)?).fetch_all(&mut *snapshot).await? {
            at.push(number(&row, 0)?);
        }
    }
    let [first, second] = copies.map(stored_as);
    // Two texts, so that each reads one range of the primary key.
    macro_rules! compare {
        ($start:literal) => {
            concat!(
                "select k.key, a.value, b.value, a.value is not b.value from
                (select key from cqrs_view where view = ?1 and key ",
                $start,
                " ?3 union select key from cqrs_view where view = ?2 and key ",
                $start,
                " ?3 order by key limit ?4) k
                left join cqrs_view a on a.view = ?1 and a.key = k.key
                left join cqrs_view b on b.view = ?2 and b.key = k.key order by k.key"
            )
        };
    }
    let sql = if after.is_some() { compare!(">") } else { compare!(">=") };
    let rows = query(sql).bind(first).bind(second).bind(after.unwrap_or_default()).bind(limit(most));
    let rows = rows.fetch_all(&mut *snapshot).await?;
    for row in &rows {
        if row.try_get(3)? {
            compared.different.push((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        }
    }
    (compared.keys, compared.last) = (rows.len(), rows.last().map(|row| row.try_get(0)).transpose()?);
    Ok(compared)
}

/// Removes some values of a copy, or returns `None` if it serves.
pub(super) async fn drop_some(
    connection: &mut SqliteConnection,
    view: &str,
    copy: u64,
    readers: &[String],
    most: usize,
) -> sqlx::Result<Option<u64>> {
    let row = query(SERVING).bind(view.to_owned()).fetch_one(&mut *connection).await?;
    if number(&row, 0)? == copy {
        return Ok(None);
    }
    let (name, most) = (stored_as(copy_of(view, copy)), limit(most));
    for reader in readers {
        let again = "update cqrs_reader set checkpoint = 0, fence = null where reader = ?1 or substr(reader, 1, length(?1) + 1) = ?1 || '/'";
        query(again).bind(reader.clone()).execute(&mut *connection).await?;
    }
    let some = "select key from cqrs_view where view = ?1 order by key limit ?2";
    let entries = format!("delete from cqrs_view_index where view = ?1 and key in ({some})");
    query(sqlx::AssertSqlSafe(entries)).bind(name).bind(most).execute(&mut *connection).await?;
    let values = format!("delete from cqrs_view where view = ?1 and key in ({some})");
    let values = query(sqlx::AssertSqlSafe(values)).bind(name).bind(most).execute(&mut *connection).await?;
    let mut gone = values.rows_affected();
    for reader in readers {
        let parked = "delete from cqrs_parked where seq in (select seq from cqrs_parked where reader = ? limit ?)";
        let parked = query(parked).bind(reader.clone()).bind(most).execute(&mut *connection).await?;
        let records = "delete from cqrs_inbox where grp = ?1
            and message in (select message from cqrs_inbox where grp = ?1 limit ?2)";
        let records = query(records).bind(reader.clone()).bind(most).execute(&mut *connection).await?;
        gone += parked.rows_affected() + records.rows_affected();
    }
    Ok(Some(gone))
}
