//! Retention: removes old rows in small steps, so that no commit waits long behind it.
use crate::storage::Cutoff;
use sqlx::{SqliteConnection, query};
use std::time::Duration;

/// The SQL for the time that is `?1` microseconds in the past.
macro_rules! ago {
    () => {
        "cast(unixepoch('subsec') * 1000000 as integer) - ?1"
    };
}
const RESPONSES: &str = concat!(
    "delete from cqrs_stored_response where key in (select key from cqrs_stored_response where stored_at < ",
    ago!(),
    " order by stored_at limit ?2)"
);
const INBOX_RECORDS: &str = concat!(
    "delete from cqrs_inbox where (grp, message) in (select grp, message from cqrs_inbox where handled_at < ",
    ago!(),
    " order by handled_at limit ?2)"
);
/// Outgoing messages. Those that a relay has parked stay, since they are published later: the first parked one of a key and
/// the later ones of that key.
///
/// Positions grow with time, so only the first entries by position are compared with the age. Otherwise every run would
/// read all entries that are kept.
const OUTGOING: &str = concat!(
    "update cqrs_log set topic = null, message_key = null, shard = null, message_type = null,
    content_type = null, message_body = null
    where pos in (select pos from (select pos, occurred_at from cqrs_log l
    where topic is not null and shard = ?3 and pos <= ?4 and coalesce(l.pos < (select m.at from cqrs_parked m
    where m.reader = 'relay/' || ?3 and m.key = l.message_key order by m.seq limit 1), true)
    order by pos limit ?2) where occurred_at < ",
    ago!(),
    ")"
);

/// Removes old rows, at most `limit` of each kind, on a connection that is in a transaction.
pub(super) async fn purge(connection: &mut SqliteConnection, old: &Cutoff, limit: usize) -> sqlx::Result<u64> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let responses = query(RESPONSES).bind(micros(old.responses)).bind(limit).execute(&mut *connection).await?;
    let inbox_records =
        query(INBOX_RECORDS).bind(micros(old.inbox_records)).bind(limit).execute(&mut *connection).await?;
    let mut gone = responses.rows_affected() + inbox_records.rows_affected();
    for (shard, upto) in &old.outgoing {
        let upto = i64::try_from(upto.0).unwrap_or(i64::MAX);
        let outgoing = query(OUTGOING).bind(micros(old.told_for)).bind(limit).bind(*shard).bind(upto);
        gone += outgoing.execute(&mut *connection).await?.rows_affected();
    }
    Ok(gone)
}

fn micros(age: Duration) -> i64 {
    i64::try_from(age.as_micros()).unwrap_or(i64::MAX)
}
