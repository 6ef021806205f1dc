//! Archiving: moves old events to a table of their own, in one statement.
use super::commit::int;
use super::{Inner, errors, read::Parameters};
use crate::{
    error::Fault,
    position::Position,
    storage::{ArchiveRange, Archived},
};
use sqlx::Row;

/// The entries are looked at by their positions, and each is compared with the row, the snapshot and the later events of its
/// stream by one index lookup. The last entry of a stream has no later one, so it stays.
#[doc(hidden)]
pub const ARCHIVE: &str = "with looked_at as materialized (select l.pos, l.stream, l.version, l.occurred_at, l.topic, \
    split_part(l.stream, '/', 1) as kind, substr(l.stream, strpos(l.stream, '/') + 1) as id \
    from cqrs.log l where l.pos > $1 and l.pos <= $2 order by l.pos limit $4), \
    chosen as materialized (select e.pos from looked_at e where e.occurred_at < $3 and e.topic is null \
    and exists (select from cqrs.log n where n.stream = e.stream and n.version > e.version) \
    and (exists (select from cqrs.state a where a.kind = e.kind and a.id = e.id) \
    or exists (select from cqrs.snapshot s where s.kind = e.kind and s.id = e.id and s.version > e.version))), \
    moved as (delete from cqrs.log l where l.pos = any(array(select c.pos from chosen c)) returning l.*), \
    stored as (insert into cqrs.archived_log select m.* from moved m returning 1) \
    select (select count(*) from stored), (select count(*) from looked_at), (select max(pos) from looked_at)";

impl Inner {
    pub(super) async fn archive(&self, range: &ArchiveRange, limit: usize) -> Result<Archived, Fault> {
        let with = Parameters::default().and(int(range.after.0))?.and(int(range.upto.0))?;
        let with = with.and(range.before)?.and(int(limit as u64))?;
        let rows = self.rows_once(ARCHIVE, Some(with.0)).await.map_err(errors::fault)?;
        let row = rows.first().ok_or_else(|| Fault::internal("the statement that archives returned nothing"))?;
        let number = |column| row.try_get::<Option<i64>, usize>(column).map_err(errors::fault);
        let is_full = number(1)?.unwrap_or(0) as usize >= limit;
        let last = number(2)?.filter(|_| is_full).map_or(range.upto, |last| Position(last as u64));
        Ok(Archived { moved: number(0)?.unwrap_or(0) as u64, upto: last })
    }
}
