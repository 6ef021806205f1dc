//! Retention: removes old rows in small steps, so that no statement holds many locks.
use super::commit::int;
use super::{Inner, errors};
use crate::{error::Fault, storage::Cutoff};
use sqlx::{Arguments, SqlStr, postgres::PgArguments};

/// Rows are deleted by `ctid`: the index on the time finds them, and these rows are never updated.
const RESPONSES: &str = "delete from cqrs.stored_response where ctid = any(array(select ctid from cqrs.stored_response \
    where stored_at < now() - make_interval(secs => $1) order by stored_at limit $2))";
const INBOX_RECORDS: &str = "delete from cqrs.inbox where ctid = any(array(select ctid from cqrs.inbox \
    where handled_at < now() - make_interval(secs => $1) order by handled_at limit $2))";
/// Outgoing messages. Those that a relay has parked stay, since they are published later: the first parked one of a key and
/// the later ones of that key. Of the parked messages of a key only the first is read, however many they are.
///
/// Positions grow with time, so only the first entries by position are compared with the age. Otherwise every run would
/// read all entries that are kept. The comparisons of shard and position together allow only the index on both.
#[doc(hidden)]
pub const OUTGOING: &str = "update cqrs.log \
    set topic = null, message_key = null, shard = null, message_type = null, content_type = null, \
    message_body = null \
    where pos = any(array(select f.pos from (select l.pos, l.occurred_at from cqrs.log l \
    where l.topic is not null and (l.shard, l.pos) > ($3, 0) and (l.shard, l.pos) <= ($3, $4) \
    and coalesce(l.pos < (select m.at from cqrs.parked m \
    where m.reader = 'relay/' || $3 and m.key = l.message_key order by m.seq limit 1), true) \
    order by l.shard, l.pos limit $2) f where f.occurred_at < now() - make_interval(secs => $1)))";

impl Inner {
    pub(super) async fn purge(&self, old: &Cutoff, limit: usize) -> Result<u64, Fault> {
        let mut gone = self.remove(RESPONSES, old.responses.as_secs_f64(), limit, None).await?;
        gone += self.remove(INBOX_RECORDS, old.inbox_records.as_secs_f64(), limit, None).await?;
        for (shard, upto) in &old.outgoing {
            let outgoing = Some((*shard as i16, int(upto.0)));
            gone += self.remove(OUTGOING, old.told_for.as_secs_f64(), limit, outgoing).await?;
        }
        Ok(gone)
    }

    async fn remove(
        &self,
        sql: &'static str,
        seconds: f64,
        limit: usize,
        outgoing: Option<(i16, i64)>,
    ) -> Result<u64, Fault> {
        let mut with = PgArguments::default();
        let mut add = || {
            with.add(seconds)?;
            with.add(i64::try_from(limit).unwrap_or(i64::MAX))?;
            outgoing.map_or(Ok(()), |(shard, upto)| with.add(shard).and_then(|()| with.add(upto)))
        };
        add().map_err(|error| Fault::internal("a parameter cannot be encoded").because(error))?;
        let mut connection = self.connection().await.map_err(errors::fault)?;
        let done = self.query(&mut connection, SqlStr::from_static(sql), with).await;
        done.map(|(_, affected)| affected).map_err(|error| {
            connection.close_if_lost(&error);
            self.fault(error)
        })
    }
}
