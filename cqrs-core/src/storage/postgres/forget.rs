//! Retention: removes what is old enough, a little at a time, so that no statement holds many locks.
use super::{Inner, commit::int, trouble};
use crate::{Fault, storage::Old};
use sqlx::{Arguments, postgres::PgArguments};

/// By the place of the row: the index on `at` finds it, and nobody changes these rows.
const ANSWERS: &str = "delete from cqrs.answer where ctid = any(array(select ctid from cqrs.answer \
    where at < now() - make_interval(secs => $1) order by at limit $2))";
const MARKS: &str = "delete from cqrs.inbox where ctid = any(array(select ctid from cqrs.inbox \
    where at < now() - make_interval(secs => $1) order by at limit $2))";
/// What a relay has parked is told later, so it stays.
const TOLD: &str = "update cqrs.log set topic = null, key = null, lane = null, type = null, body = null \
    where pos = any(array(select l.pos from cqrs.log l where l.topic is not null and l.lane = $3 and l.pos <= $4 \
    and l.at < now() - make_interval(secs => $1) and not exists (select from cqrs.parked m \
    where m.topic is null and m.reader = 'relay/' || $3 and m.at = l.pos) order by l.pos limit $2))";

impl Inner {
    pub(super) async fn forget(&self, old: &Old, limit: usize) -> Result<u64, Fault> {
        let mut gone = self.remove(ANSWERS, old.answers.as_secs_f64(), limit, None).await?;
        gone += self.remove(MARKS, old.marks.as_secs_f64(), limit, None).await?;
        for (lane, upto) in &old.told {
            let told = Some((*lane as i16, int(upto.0)));
            gone += self.remove(TOLD, old.told_for.as_secs_f64(), limit, told).await?;
        }
        Ok(gone)
    }

    async fn remove(
        &self,
        sql: &'static str,
        seconds: f64,
        limit: usize,
        told: Option<(i16, i64)>,
    ) -> Result<u64, Fault> {
        let mut with = PgArguments::default();
        let mut add = || {
            with.add(seconds)?;
            with.add(i64::try_from(limit).unwrap_or(i64::MAX))?;
            told.map_or(Ok(()), |(lane, upto)| with.add(lane).and_then(|()| with.add(upto)))
        };
        add().map_err(|error| Fault::internal("a parameter cannot be encoded").because(error))?;
        self.count();
        let done = sqlx::query_with(sql, with).execute(&self.pool).await;
        done.map(|it| it.rows_affected()).map_err(trouble::fault)
    }
}
