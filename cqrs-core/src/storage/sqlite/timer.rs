//! Timers: their writes, as part of a batch, and their reads.
use super::{number, read::limit};
use crate::{
    Timestamp,
    storage::{
        CommitError, DueTime, DueTimers, Firing, Timer, TimerChange, TimerCounts, TimerPage, TimerState, TimerWrite,
        timer::before_all,
    },
};
use chrono::DateTime;
use sqlx::{Row, SqliteConnection, SqlitePool, query, sqlite::SqliteRow};
use std::time::Duration;

/// Selects timers, in the columns that `timer` takes.
macro_rules! timers {
    ($rest:literal) => {
        concat!(
            "select name, id, due, key, command, body, metadata, calendar, set_by, set_at, error from cqrs_timer ",
            $rest
        )
    };
}

/// Writes one timer, on a connection that is in a transaction. If the timer was fired, replaced or cancelled meanwhile, the batch
/// is refused.
pub(super) async fn apply(connection: &mut SqliteConnection, write: TimerWrite) -> sqlx::Result<Option<CommitError>> {
    let TimerWrite { name, fired, change } = write;
    if let Some(fired) = fired {
        let stored = query("select 1 from cqrs_timer where name = ? and id = ? and due = ?").bind(name.clone());
        let stored = stored.bind(fired.id).bind(fired.due.timestamp_micros()).fetch_optional(&mut *connection).await?;
        if stored.is_none() {
            return Ok(Some(CommitError::Moved(format!("timer {name}"))));
        }
    }
    let statement = match change {
        TimerChange::Remove => query("delete from cqrs_timer where name = ?").bind(name),
        TimerChange::Update { due, error } => {
            let update = query("update cqrs_timer set due = ?2, error = ?3 where name = ?1");
            update.bind(name).bind(due.timestamp_micros()).bind(error)
        }
        TimerChange::Set(new) => {
            let (at, wait) = match new.due {
                DueTime::At(at) => (Some(at.timestamp_micros()), None),
                DueTime::After(wait) => (None, Some(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX / 2))),
            };
            let metadata = serde_json::to_string(&new.metadata).map_err(|error| sqlx::Error::Encode(error.into()))?;
            let set = query(
                "insert into cqrs_timer (name, id, due, key, command, body, metadata, calendar, set_by, set_at)
                values (?1, ?2, coalesce(?3, cast(unixepoch('subsec') * 1000000 as integer) + ?4), ?5, ?6, ?7, ?8, ?9, ?10,
                    cast(unixepoch('subsec') * 1000000 as integer))
                on conflict (name) do update set id = excluded.id, due = excluded.due, key = excluded.key,
                    command = excluded.command, body = excluded.body, metadata = excluded.metadata,
                    calendar = excluded.calendar, set_by = excluded.set_by, set_at = excluded.set_at, error = null",
            );
            let set = set.bind(name).bind(new.id).bind(at).bind(wait).bind(new.key).bind(new.command).bind(new.body);
            set.bind(metadata).bind(new.calendar).bind(new.set_by)
        }
    };
    statement.execute(connection).await.map(|_| None)
}

pub(super) async fn due(pool: &SqlitePool, after: Option<Firing>, most: usize) -> sqlx::Result<DueTimers> {
    let clock = "select c.now, (select t.due from cqrs_timer t where t.due > c.now order by t.due, t.id limit 1)
        from (select cast(unixepoch('subsec') * 1000000 as integer) as now) c";
    let clock = query(clock).fetch_one(pool).await?;
    let (now, after) = (time(clock.try_get(0)?)?, after.unwrap_or_else(before_all));
    let due = query(timers!(
        "t where t.due <= ?1 and (t.due, t.id) > (?2, ?3) and t.error is null
        and not exists (select 1 from cqrs_timer f where f.key = t.key and f.error is not null)
        order by t.due, t.id limit ?4"
    ));
    let due = due.bind(now.timestamp_micros()).bind(after.due.timestamp_micros()).bind(after.id).bind(limit(most));
    let timers = due.fetch_all(pool).await?.iter().map(timer).collect::<Result<_, _>>()?;
    Ok(DueTimers { now, timers, next: clock.try_get::<Option<i64>, _>(1)?.map(time).transpose()? })
}

pub(super) async fn page(pool: &SqlitePool, page: &TimerPage<'_>) -> sqlx::Result<Vec<Timer>> {
    let after = page.after.unwrap_or_else(before_all);
    let text = match page.state {
        TimerState::All => {
            timers!("where (due, id) > (?1, ?2) and (?3 is null or name = ?3) order by due, id limit ?4")
        }
        TimerState::Overdue => timers!(
            "where (due, id) > (?1, ?2) and (?3 is null or name = ?3)
            and due <= cast(unixepoch('subsec') * 1000000 as integer) and error is null order by due, id limit ?4"
        ),
        TimerState::Failed => timers!(
            "where (due, id) > (?1, ?2) and (?3 is null or name = ?3) and error is not null order by due, id limit ?4"
        ),
    };
    let found = query(text).bind(after.due.timestamp_micros()).bind(after.id).bind(page.name.map(str::to_owned));
    found.bind(limit(page.limit)).fetch_all(pool).await?.iter().map(timer).collect()
}

pub(super) async fn counts(pool: &SqlitePool, most: usize) -> sqlx::Result<TimerCounts> {
    let sql = "select (select count(*) from (select 1 from cqrs_timer where due > c.now limit ?1)),
            (select count(*) from (select 1 from cqrs_timer where due <= c.now and error is null limit ?1)),
            (select count(*) from (select 1 from cqrs_timer where error is not null limit ?1)),
            c.now - (select due from cqrs_timer where due <= c.now and error is null order by due, id limit 1)
        from (select cast(unixepoch('subsec') * 1000000 as integer) as now) c";
    let row = query(sql).bind(limit(most)).fetch_one(pool).await?;
    let since = row.try_get::<Option<i64>, _>(3)?.unwrap_or_default();
    let overdue_for = Duration::from_micros(u64::try_from(since).unwrap_or_default());
    Ok(TimerCounts { waiting: number(&row, 0)?, overdue: number(&row, 1)?, failed: number(&row, 2)?, overdue_for })
}

fn time(micros: i64) -> sqlx::Result<Timestamp> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| sqlx::Error::Decode("a timer has an invalid time".into()))
}

fn timer(row: &SqliteRow) -> sqlx::Result<Timer> {
    let broken = |_| sqlx::Error::Decode("a timer has invalid metadata".into());
    Ok(Timer {
        name: row.try_get(0)?,
        id: row.try_get(1)?,
        due: time(row.try_get(2)?)?,
        key: row.try_get(3)?,
        command: row.try_get(4)?,
        body: row.try_get(5)?,
        metadata: serde_json::from_str(row.try_get(6)?).map_err(broken)?,
        calendar: row.try_get(7)?,
        set_by: row.try_get(8)?,
        set_at: time(row.try_get(9)?)?,
        error: row.try_get(10)?,
    })
}
