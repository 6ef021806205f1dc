//! Reads of timers, each in one round trip.
use super::commit::int;
use super::{Inner, errors, read::Parameters};
use crate::{
    error::Fault,
    storage::{DueTimers, Firing, Timer, TimerCounts, TimerPage, TimerState, timer::before_all},
};
use sqlx::{Decode, Row, Type, postgres::PgRow};
use std::time::Duration;

/// The due timers after one of them, beside the time and the first timer that is not due. The index on the times gives both, and
/// the partial one on the failed timers shows whether a key is held up. There is always a row, without a timer if none is due.
#[doc(hidden)]
pub const DUE: &str = "with clock as materialized (select clock_timestamp() as now), \
    next as materialized (select c.now, (select w.due from cqrs.timer w where w.due > c.now order by w.due, w.id limit 1) as due \
    from clock c) \
    select d.name, d.id, d.due, d.key, d.command, d.body, d.metadata::text, d.calendar, d.set_by, d.set_at, d.error, n.now, n.due \
    from next n left join lateral (select t.* from cqrs.timer t where t.due <= n.now and (t.due, t.id) > ($1, $2) \
    and t.error is null and not exists (select from cqrs.timer f where f.key = t.key and f.error is not null) \
    order by t.due, t.id limit $3) d on true order by d.due, d.id";
/// The numbers, each counted up to a limit, and the seconds for which the first one is overdue.
#[doc(hidden)]
pub const COUNTS: &str = "with clock as materialized (select clock_timestamp() as now) \
    select (select count(*) from (select from cqrs.timer where due > c.now limit $1) w), \
    (select count(*) from (select from cqrs.timer where due <= c.now and error is null limit $1) o), \
    (select count(*) from (select from cqrs.timer where error is not null limit $1) f), \
    extract(epoch from c.now - (select due from cqrs.timer where due <= c.now and error is null order by due, id limit 1))::float8 \
    from clock c";
const PAGE: &str = "select t.name, t.id, t.due, t.key, t.command, t.body, t.metadata::text, t.calendar, t.set_by, t.set_at, t.error \
    from cqrs.timer t where (t.due, t.id) > ($1, $2) and ($3::text is null or t.name = $3) \
    order by t.due, t.id limit $4";
const OVERDUE: &str = "select t.name, t.id, t.due, t.key, t.command, t.body, t.metadata::text, t.calendar, t.set_by, t.set_at, t.error \
    from cqrs.timer t where (t.due, t.id) > ($1, $2) and ($3::text is null or t.name = $3) \
    and t.due <= clock_timestamp() and t.error is null order by t.due, t.id limit $4";
const FAILED: &str = "select t.name, t.id, t.due, t.key, t.command, t.body, t.metadata::text, t.calendar, t.set_by, t.set_at, t.error \
    from cqrs.timer t where (t.due, t.id) > ($1, $2) and ($3::text is null or t.name = $3) \
    and t.error is not null order by t.due, t.id limit $4";
const BY_NAME: &str = "select t.name, t.id, t.due, t.key, t.command, t.body, t.metadata::text, t.calendar, t.set_by, t.set_at, t.error \
    from cqrs.timer t where t.name = $1";

impl Inner {
    pub(super) async fn due_timers(&self, after: Option<Firing>, limit: usize) -> Result<DueTimers, Fault> {
        let after = after.unwrap_or_else(before_all);
        let with = Parameters::default().and(after.due)?.and(after.id)?.and(int(limit as u64))?;
        let rows = self.read(DUE, with).await?;
        let first =
            rows.first().ok_or_else(|| Fault::internal("the statement that reads due timers returned nothing"))?;
        let (now, next) = (get(first, 11)?, get(first, 12)?);
        let has_timer = |row: &&PgRow| matches!(get::<Option<&str>>(row, 0), Ok(Some(_)));
        Ok(DueTimers { now, timers: rows.iter().filter(has_timer).map(timer).collect::<Result<_, _>>()?, next })
    }
    pub(super) async fn timers(&self, page: &TimerPage<'_>) -> Result<Vec<Timer>, Fault> {
        if let (Some(name), TimerState::All, None) = (page.name, page.state, page.after) {
            let rows = self.read(BY_NAME, Parameters::default().and(name)?).await?;
            return rows.iter().take(page.limit).map(timer).collect();
        }
        let after = page.after.unwrap_or_else(before_all);
        let text = match page.state {
            TimerState::All => PAGE,
            TimerState::Overdue => OVERDUE,
            TimerState::Failed => FAILED,
        };
        let with = Parameters::default().and(after.due)?.and(after.id)?.and(page.name)?.and(int(page.limit as u64))?;
        self.read(text, with).await?.iter().map(timer).collect()
    }
    pub(super) async fn timer_counts(&self, limit: usize) -> Result<TimerCounts, Fault> {
        let rows = self.read(COUNTS, Parameters::default().and(int(limit as u64))?).await?;
        let row = rows.first().ok_or_else(|| Fault::internal("the statement that counts timers returned nothing"))?;
        let number = |column| Ok::<_, Fault>(get::<i64>(row, column)? as u64);
        let seconds = get::<Option<f64>>(row, 3)?.unwrap_or_default();
        let overdue_for = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        Ok(TimerCounts { waiting: number(0)?, overdue: number(1)?, failed: number(2)?, overdue_for })
    }
}

fn get<'r, T: Decode<'r, sqlx::Postgres> + Type<sqlx::Postgres>>(row: &'r PgRow, column: usize) -> Result<T, Fault> {
    row.try_get(column).map_err(errors::fault)
}

fn timer(row: &PgRow) -> Result<Timer, Fault> {
    Ok(Timer {
        name: get(row, 0)?,
        id: get(row, 1)?,
        due: get(row, 2)?,
        key: get(row, 3)?,
        command: get(row, 4)?,
        body: get(row, 5)?,
        metadata: serde_json::from_str(get(row, 6)?)?,
        calendar: get(row, 7)?,
        set_by: get(row, 8)?,
        set_at: get(row, 9)?,
        error: get(row, 10)?,
    })
}
