//! Archiving: moves old events to a table of their own, on a connection that is in a transaction.
use super::{
    number,
    read::{limit, signed},
};
use crate::{
    position::Position,
    storage::{ArchiveRange, Archived},
};
use sqlx::{Row, SqliteConnection, query};

/// Copies the events that are archived. The last entry of a stream has no later one, so it stays.
const COPY: &str = "insert into cqrs_archived_log select * from cqrs_log where pos in (select e.pos from
    (select pos, stream, version, occurred_at, topic, substr(stream, 1, instr(stream, '/') - 1) as kind,
        substr(stream, instr(stream, '/') + 1) as id
        from cqrs_log where pos > ?1 and pos <= ?2 order by pos) e
    where e.occurred_at < ?3 and e.topic is null
    and exists (select 1 from cqrs_log n where n.stream = e.stream and n.version > e.version)
    and (exists (select 1 from cqrs_state a where a.kind = e.kind and a.id = e.id)
        or exists (select 1 from cqrs_snapshot s where s.kind = e.kind and s.id = e.id and s.version > e.version)))";
/// Removes the copied events from the log.
const REMOVE: &str = "delete from cqrs_log where pos > ?1 and pos <= ?2
    and exists (select 1 from cqrs_archived_log a where a.pos = cqrs_log.pos)";

pub(super) async fn archive(
    connection: &mut SqliteConnection,
    range: &ArchiveRange,
    most: usize,
) -> sqlx::Result<Archived> {
    let (after, upto) = (signed(range.after.0), signed(range.upto.0));
    let looked_at = query(
        "select count(*), max(pos) from (select pos from cqrs_log where pos > ? and pos <= ? order by pos limit ?)",
    );
    let row = looked_at.bind(after).bind(upto).bind(limit(most)).fetch_one(&mut *connection).await?;
    let is_full = number(&row, 0)? as usize >= most;
    let last = row.try_get::<Option<i64>, _>(1)?.filter(|_| is_full).unwrap_or(upto);
    query(COPY).bind(after).bind(last).bind(range.before.timestamp_micros()).execute(&mut *connection).await?;
    let removed = query(REMOVE).bind(after).bind(last).execute(connection).await?;
    Ok(Archived { moved: removed.rows_affected(), upto: Position(last as u64) })
}
