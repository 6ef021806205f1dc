//! Retention: removes what is old enough, a little at a time, so that no commit waits long behind it.
use crate::storage::Old;
use sqlx::{SqliteConnection, query};
use std::time::Duration;

/// Microseconds of this age ago.
macro_rules! ago {
    () => {
        "cast(unixepoch('subsec') * 1000000 as integer) - ?1"
    };
}
const ANSWERS: &str = concat!(
    "delete from cqrs_answer where key in (select key from cqrs_answer where at < ",
    ago!(),
    " order by at limit ?2)"
);
const MARKS: &str = concat!(
    "delete from cqrs_inbox where (grp, message) in (select grp, message from cqrs_inbox where at < ",
    ago!(),
    " order by at limit ?2)"
);
/// What a relay has parked is told later, so it stays.
const TOLD: &str = concat!(
    "update cqrs_log set topic = null, key = null, lane = null, type = null, body = null
    where pos in (select pos from cqrs_log l where topic is not null and lane = ?3 and pos <= ?4 and at < ",
    ago!(),
    " and not exists (select 1 from cqrs_parked m where m.topic is null and m.reader = 'relay/' || ?3 and m.at = l.pos)
    order by pos limit ?2)"
);

/// On a connection that is in a transaction.
pub(super) async fn forget(connection: &mut SqliteConnection, old: &Old, limit: usize) -> sqlx::Result<u64> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let answers = query(ANSWERS).bind(micros(old.answers)).bind(limit).execute(&mut *connection).await?;
    let marks = query(MARKS).bind(micros(old.marks)).bind(limit).execute(&mut *connection).await?;
    let mut gone = answers.rows_affected() + marks.rows_affected();
    for (lane, upto) in &old.told {
        let upto = i64::try_from(upto.0).unwrap_or(i64::MAX);
        let told = query(TOLD).bind(micros(old.told_for)).bind(limit).bind(*lane).bind(upto);
        gone += told.execute(&mut *connection).await?.rows_affected();
    }
    Ok(gone)
}

fn micros(age: Duration) -> i64 {
    i64::try_from(age.as_micros()).unwrap_or(i64::MAX)
}
