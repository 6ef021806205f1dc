//! Reads, each in one round trip.
use super::commit::int;
use super::view_copy::{COMPARE, COMPARE_AFTER};
use super::{Inner, errors};
use crate::{
    error::Fault,
    event::{Entry, OutgoingMessage, StreamEvent, stream_of},
    position::Position,
    storage::archive::is_contiguous,
    storage::parked::decode_headers,
    storage::{
        CountedEntries, InboxLookup, Lease, Loaded, OutgoingRange, Parked, ParkedKey, ParkedPage, ReadLimit, Scan,
        Scanned, SnapshotAndEvents, StoredResponse, StoredRow, StoredSnapshot, StoredView,
    },
    transport::{Partition, Received},
};
use sqlx::{
    Arguments, Decode, Encode, Row, Type,
    postgres::{PgArguments, PgRow},
};
use std::{collections::HashMap, time::Duration};
use uuid::Uuid;

const ROW: &str = "select s.version, s.value, r.key, r.fingerprint, r.body, r.pos from (select) one \
    left join cqrs.state s on s.kind = $1 and s.id = $2 left join cqrs.stored_response r on r.key = $3";
const RESPONSE: &str = "select key, fingerprint, body, pos from cqrs.stored_response where key = $1";
/// One index lookup for each message and key. With `= any($2)`, a plan made while the table was small would read all
/// inbox records of the group and compare each with the whole list.
const INBOX: &str = "select i.message, null as key from unnest($2::uuid[]) u(message) cross join lateral \
    (select i.message from cqrs.inbox i where i.grp = $1 and i.message = u.message limit 1) i \
    union all select null, u.key from unnest($3::text[]) u(key) cross join lateral \
    (select from cqrs.parked m where m.reader = $1 and m.key = u.key limit 1) m";
/// Finds each next key by the index on reader, key and number; its first entry there is the key's first message. The
/// texts are the reader and key after which to begin, with the number -1 to include that key.
#[doc(hidden)]
pub const PARKED_KEYS: &str = "with recursive heads(reader, key, seq, n) as (\
    (select m.reader, m.key, m.seq, 1 from cqrs.parked m where (m.reader, m.key, m.seq) > ($1, $2, $3) \
    order by m.reader, m.key, m.seq limit 1) \
    union all select f.reader, f.key, f.seq, h.n + 1 from heads h cross join lateral \
    (select m.reader, m.key, m.seq from cqrs.parked m where (m.reader, m.key, m.seq) > (h.reader, h.key, 9223372036854775807) \
    order by m.reader, m.key, m.seq limit 1) f where h.n < $4 and ($5::text is null or h.reader = $5)) \
    select h.reader, h.key, c.count, m.error, m.since from heads h \
    cross join lateral (select p.error, p.since from cqrs.parked p where p.seq = h.seq limit 1) m \
    cross join lateral (select count(*) as count from \
    (select from cqrs.parked p where p.reader = h.reader and p.key = h.key order by p.seq limit $6) counted) c \
    where $5::text is null or h.reader = $5 order by h.n";
/// One index lookup for each key, as in [`INBOX`].
#[doc(hidden)]
pub const FIRST_PARKED: &str = "select u.key, m.error from unnest($2::text[]) u(key) cross join lateral \
    (select p.error from cqrs.parked p where p.reader = $1 and p.key = u.key order by p.seq limit 1) m";
/// Finds each next reader by the index on reader and key, and counts its entries there up to the limit. Without the order
/// a planner without statistics collects all entries of the reader before it takes the first.
#[doc(hidden)]
pub const PARKED_COUNTS: &str = "with recursive readers(reader) as ((select reader from cqrs.parked order by reader limit 1) \
    union all select (select m.reader from cqrs.parked m where m.reader > r.reader order by m.reader limit 1) \
    from readers r where r.reader is not null) select r.reader, (select count(*) from \
    (select from cqrs.parked m where m.reader = r.reader order by m.reader, m.key, m.seq limit $1) counted) \
    from readers r where r.reader is not null";
#[doc(hidden)]
pub const PARKED: &str = "select seq, message, at, topic, part, record_key, headers::text, body, error, attempts, since, record_time \
    from cqrs.parked where reader = $1 and key = $2 and seq > $3 order by seq limit $4";
/// The name under which a read of the view `$1`, or of one of its copies, finds the values. It is found once per statement, and
/// plans treat it as a parameter.
macro_rules! serving {
    () => {
        "coalesce((select c.stored from cqrs.view_copy c where c.view = $1::text), \
         case when $1::text like '%~0' then left($1::text, -2) else $1::text end)"
    };
}
/// One index lookup for each key, as in [`INBOX`].
const VIEWS: &str = concat!(
    "select v.key, v.version, v.value from unnest($2::text[]) u(key) cross join lateral \
     (select v.key, v.version, v.value from cqrs.view v where v.view = ",
    serving!(),
    " and v.key = u.key limit 1) v"
);
/// The values as [`VIEWS`] finds them, and the checkpoints of readers, in one snapshot.
const VIEWS_AND_CHECKPOINTS: &str = concat!(
    "select v.key, v.version, v.value, false from unnest($2::text[]) u(key) cross join lateral \
     (select v.key, v.version, v.value from cqrs.view v where v.view = ",
    serving!(),
    " and v.key = u.key limit 1) v union all select reader, checkpoint, null, true from cqrs.reader where reader = any($3)"
);
const VIEW_VALUES: &str =
    "select key, version, value from cqrs.view where view = $1 and key >= $2 order by key limit $3";
const VIEW_VALUES_AFTER: &str =
    "select key, version, value from cqrs.view where view = $1 and key > $2 order by key limit $3";
/// Finds each next set of indexes through the index on the sets, and the values of those that are not given.
const VIEWS_OF_OTHER_INDEX_SETS: &str = concat!(
    "with recursive sets(index_set) as ((select index_set from cqrs.view where view = ",
    serving!(),
    " order by index_set limit 1) union all select (select v.index_set from cqrs.view v where v.view = ",
    serving!(),
    " and v.index_set > s.index_set order by v.index_set limit 1) from sets s where s.index_set is not null) \
     select v.key, v.version, v.value from sets s cross join lateral (select v.key, v.version, v.value from cqrs.view v \
     where v.view = ",
    serving!(),
    " and v.index_set = s.index_set limit $3) v \
     where s.index_set is not null and s.index_set <> all($2) limit $3"
);
/// Reads of several keys at once, with the number of their parameters, for the test of their plans.
#[doc(hidden)]
pub const READS_OF_SEVERAL: [(&str, usize); 3] = [(INBOX, 3), (VIEWS, 2), (FIRST_PARKED, 2)];
/// Reads whose keys are partly those of other rows, with the number of their parameters, for the test of their plans.
#[doc(hidden)]
pub const READS_BY_OTHER_ROWS: [(&str, usize); 3] = [(SNAPSHOT, 5), (COMPARE, 5), (COMPARE_AFTER, 6)];
const CHECKPOINTS: &str = "select reader, checkpoint from cqrs.reader where reader = any($1)";
/// An expired lease remains with its owner until another owner takes it. Leases of others are left out before the
/// insert, since a conflict would lock and so write their rows. The order prevents deadlocks.
const LEASES: &str = "insert into cqrs.reader as r (reader, epoch, owner, expires) \
    select u.reader, 1, $2, clock_timestamp() + make_interval(secs => $3) from unnest($1::text[]) u(reader) \
    left join cqrs.reader h on h.reader = u.reader \
    where h.owner is null or h.owner = $2 or h.expires <= clock_timestamp() order by u.reader collate \"C\" \
    on conflict (reader) do update set owner = excluded.owner, expires = excluded.expires, \
    epoch = case when r.owner = excluded.owner then r.epoch else r.epoch + 1 end \
    where r.owner is null or r.owner = excluded.owner or r.expires <= clock_timestamp() returning reader, epoch, checkpoint";
const RELEASE: &str = "update cqrs.reader set owner = null, expires = null where reader = $1 and owner = $2";

macro_rules! entries {
    ($before:literal, $after:literal) => {
        entries!($before, "l.payload", $after)
    };
    ($before:literal, $payload:literal, $after:literal) => {
        concat!(
            $before,
            "select l.pos, l.stream, l.version, l.id, l.name, l.schema, ",
            $payload,
            ", l.metadata::text, l.occurred_at, l.topic, l.message_key, l.shard, l.message_type, l.content_type, \
             l.message_body",
            $after
        )
    };
}
/// The bytes of the rows before this one. The size of a large value is known without reading it.
macro_rules! bytes_before {
    ($size:literal) => {
        concat!(
            "coalesce(sum(",
            $size,
            ") over (order by pos rows between unbounded preceding and 1 preceding), 0) as bytes_before"
        )
    };
}
/// Selects entries of the log and of its archive in one order, up to a limit of each.
macro_rules! whole_log {
    ($range:literal, $order:literal, $limit:literal) => {
        concat!(
            "(select w.* from ((select * from cqrs.log where ",
            $range,
            " order by ",
            $order,
            " limit ",
            $limit,
            ") union all (select * from cqrs.archived_log where ",
            $range,
            " order by ",
            $order,
            " limit ",
            $limit,
            ")) w order by ",
            $order,
            " limit ",
            $limit,
            ")"
        )
    };
}
const LOG: &str = concat!(
    entries!("", " from (select p.*, "),
    bytes_before!("octet_length(payload) + coalesce(octet_length(message_body), 0)"),
    " from ",
    whole_log!("pos > $1 and pos <= $2", "pos", "$3"),
    " p) l where l.bytes_before < $4 order by l.pos"
);
/// The primary key gives the order: with the names in the condition, a planner without statistics could sort instead.
const LOG_OF: &str = concat!(
    entries!("", " from (select p.*, "),
    bytes_before!("octet_length(payload) + coalesce(octet_length(message_body), 0)"),
    " from (select w.* from ((select * from (select * from cqrs.log where pos > $1 and pos <= $2 order by pos offset 0) n \
     where n.name = any($3) limit $4) union all \
     (select * from (select * from cqrs.archived_log where pos > $1 and pos <= $2 order by pos offset 0) n \
     where n.name = any($3) limit $4)) w order by pos limit $4) p) l where l.bytes_before < $5 order by l.pos"
);
/// Reads the next entries by the primary key, and filters them afterwards, so that the limit bounds what is read.
#[doc(hidden)]
pub const COUNT_LOG: &str = "select count(*) from (select w.* from (\
    (select pos, name, shard from cqrs.log where pos > $1 and pos <= $2 order by pos limit $3) union all \
    (select pos, name, shard from cqrs.archived_log where pos > $1 and pos <= $2 order by pos limit $3)) w \
    order by pos limit $3) n where n.name = any($4) or n.shard = $5";
/// The events of one kind of aggregates in the order of their streams.
pub(super) const STREAMS_AFTER: &str = concat!(
    entries!("", " from (select p.*, "),
    "coalesce(sum(octet_length(payload) + coalesce(octet_length(message_body), 0)) over \
     (order by stream, version rows between unbounded preceding and 1 preceding), 0) as bytes_before from ",
    whole_log!("(stream, version) > ($1, $2) and stream < $3", "stream, version", "$4"),
    " p) l where l.bytes_before < $5 order by l.stream, l.version"
);
const STREAM_PAGE: &str = concat!(
    entries!("", " from (select p.*, "),
    "coalesce(sum(octet_length(payload) + coalesce(octet_length(message_body), 0)) over \
     (order by version rows between unbounded preceding and 1 preceding), 0) as bytes_before from ",
    whole_log!("stream = $1 and version > $2", "version", "$3"),
    " p) l where l.bytes_before < $4 order by l.version"
);
/// The columns of a loaded event, in the order in which `event` takes them.
///
/// Loads leave the order to [`in_order`]. Beside a snapshot or a response, and for a long stream, PostgreSQL would sort
/// the rows, although it almost always finds them in their order.
macro_rules! events {
    ($rest:literal) => {
        concat!("select l.version, l.name, l.schema, l.payload", $rest)
    };
}
/// The snapshot is a row without a name. The response is one with a fingerprint, and with its position as the version.
/// `offset 0` keeps the look-up of the snapshot's event apart. As a join it may use the stream alone, if the tables were empty
/// when it was planned, and then a load reads the whole stream.
const SNAPSHOT: &str = concat!(
    "with s as materialized (select s.version, s.value from cqrs.snapshot s where s.kind = $1 and s.id = $2 \
     and (s.form = $3 or s.value is null) and exists (select from cqrs.log h where h.stream = $4 \
     and h.version = s.version and h.id = s.event offset 0)) ",
    events!(
        ", null::bigint as fingerprint from cqrs.log l \
         where l.stream = $4 and l.version > coalesce((select s.version from s), 0) \
         union all select s.version, null, null, s.value, null from s \
         union all select r.pos, r.key, null, r.body, r.fingerprint from cqrs.stored_response r where r.key = $5"
    )
);
const STREAM: &str = events!(" from cqrs.log l where l.stream = $1 and l.version > $2");
/// All events of a stream after a version, those of the archive as well.
const WHOLE_STREAM: &str = concat!(
    events!(" from cqrs.log l where l.stream = $1 and l.version > $2 union all "),
    events!(" from cqrs.archived_log l where l.stream = $1 and l.version > $2")
);
/// The response is a row as in [`SNAPSHOT`].
const STREAM_AND_RESPONSE: &str = events!(
    ", null::bigint as fingerprint from cqrs.log l where l.stream = $1 and l.version > $2 \
     union all select r.pos, r.key, null, r.body, r.fingerprint from cqrs.stored_response r where r.key = $3"
);
const OUTGOING: &str = concat!(
    entries!(
        "",
        "''::bytea",
        " from unnest($1::smallint[], $2::bigint[]) with ordinality w(shard, since, o) cross join lateral (select p.*, "
    ),
    bytes_before!("octet_length(message_body)"),
    " from (select * from cqrs.log l where l.topic is not null and l.shard = w.shard and l.pos > w.since and l.pos <= $3 \
     order by l.pos limit $4) p) l where l.bytes_before < $5 order by w.o, l.pos"
);

/// The index on shard and position gives the order, and the topic is compared afterwards, as the names are in [`LOG_OF`].
const OUTGOING_OF: &str = concat!(
    entries!(
        "",
        "''::bytea",
        " from unnest($1::smallint[], $2::text[], $3::bigint[], $4::bigint[]) with ordinality w(shard, topic, since, upto, o) \
         cross join lateral (select p.*, "
    ),
    bytes_before!("octet_length(message_body)"),
    " from (select * from (select * from cqrs.log l where l.topic is not null and l.shard = w.shard and l.pos > w.since \
     and l.pos <= w.upto order by l.pos offset 0) n where n.topic = w.topic limit $5) p) l \
     where l.bytes_before < $6 order by w.o, l.pos"
);

/// Texts for each end and direction instead of one with `or ... is null`, so that each reads one range of the primary key
/// in its order. The values are looked up afterwards, one by one.
macro_rules! scan {
    ($until:literal, $order:literal) => {
        concat!(
            "select e.entry, e.key, v.value from (select e.view, e.entry, e.key from cqrs.view_index e \
             where e.view = ",
            serving!(),
            " and e.name = $2 and (e.entry, e.key) >= ($3, $4)",
            $until,
            " order by ",
            $order,
            " limit $5) e cross join lateral \
             (select v.value from cqrs.view v where v.view = e.view and v.key = e.key limit 1) v order by ",
            $order
        )
    };
}
macro_rules! count_entries {
    ($until:literal) => {
        concat!(
            "select count(*) from (select from cqrs.view_index e \
             where e.view = ",
            serving!(),
            " and e.name = $2 and (e.entry, e.key) >= ($3, $4)",
            $until,
            " order by e.entry, e.key limit $5) counted"
        )
    };
}
const SCAN: &str = scan!("", "e.entry, e.key");
const SCAN_REVERSED: &str = scan!("", "e.entry desc, e.key desc");
const SCAN_UNTIL: &str = scan!(" and (e.entry, e.key) < ($6, $7)", "e.entry, e.key");
const SCAN_UNTIL_REVERSED: &str = scan!(" and (e.entry, e.key) < ($6, $7)", "e.entry desc, e.key desc");
const COUNT_ENTRIES: &str = count_entries!("");
const COUNT_ENTRIES_UNTIL: &str = count_entries!(" and (e.entry, e.key) < ($6, $7)");
/// The reads of a range of an index: those without an end first. For the test of their plans.
#[doc(hidden)]
pub const RANGES_OF_INDEX: [&str; 6] =
    [SCAN, SCAN_REVERSED, COUNT_ENTRIES, SCAN_UNTIL, SCAN_UNTIL_REVERSED, COUNT_ENTRIES_UNTIL];

/// The parameters of a read, added one by one.
#[derive(Clone, Default)]
pub(super) struct Parameters(pub(super) PgArguments);
impl Parameters {
    pub(super) fn and<'a, T: Encode<'a, sqlx::Postgres> + Type<sqlx::Postgres>>(
        mut self,
        value: T,
    ) -> Result<Self, Fault> {
        let added = self.0.add(value);
        added.map_err(|error| Fault::internal("a parameter cannot be encoded").because(error)).map(|()| self)
    }
}

impl Inner {
    pub(super) async fn read(&self, sql: &'static str, with: Parameters) -> Result<Vec<PgRow>, Fault> {
        self.rows(sql, Some(with.0)).await.map_err(errors::fault)
    }

    pub(super) async fn row(&self, kind: &str, id: &str, key: Option<&str>) -> Result<Loaded<StoredRow>, Fault> {
        let rows = self.read(ROW, Parameters::default().and(kind)?.and(id)?.and(key)?).await?;
        let row = rows.first().ok_or_else(|| Fault::internal("the statement that reads a row returned nothing"))?;
        let version: Option<i64> = get(row, 0)?;
        let found = match version {
            Some(version) => StoredRow { version: version as u64, state: get(row, 1)? },
            None => StoredRow::default(),
        };
        let exists = get::<Option<String>>(row, 2)?.is_some();
        Ok(Loaded { found, response: if exists { Some(response(row, [2, 3, 4, 5])?) } else { None } })
    }

    pub(super) async fn stream(
        &self,
        stream: &str,
        after: u64,
        key: Option<&str>,
    ) -> Result<Loaded<Vec<StreamEvent>>, Fault> {
        let with = Parameters::default().and(stream)?.and(int(after))?;
        let (found, response) = match key {
            None => (events(&self.read(STREAM, with).await?)?, None),
            Some(key) => {
                let Loaded { found, response } = loaded(&self.read(STREAM_AND_RESPONSE, with.and(key)?).await?)?;
                (found.events, response)
            }
        };
        Ok(Loaded { found: self.with_archived(stream, after, found).await?, response })
    }
    /// Reads the stream again if its first events are in the archive. The last one never is, so the events that were found
    /// show it.
    async fn with_archived(
        &self,
        stream: &str,
        after: u64,
        found: Vec<StreamEvent>,
    ) -> Result<Vec<StreamEvent>, Fault> {
        if is_contiguous(after, &found) {
            return Ok(found);
        }
        events(&self.read(WHOLE_STREAM, Parameters::default().and(stream)?.and(int(after))?).await?)
    }

    pub(super) async fn stream_page(&self, stream: &str, after: u64, most: ReadLimit) -> Result<Vec<Entry>, Fault> {
        let with = Parameters::default().and(stream)?.and(int(after))?;
        let with = with.and(limit(most.entries))?.and(limit(most.bytes))?;
        self.read(STREAM_PAGE, with).await?.iter().map(entry).collect()
    }

    pub(super) async fn snapshot(
        &self,
        kind: &str,
        id: &str,
        form: i64,
        key: Option<&str>,
    ) -> Result<Loaded<SnapshotAndEvents>, Fault> {
        let stream = stream_of(kind, id);
        let with = Parameters::default().and(kind)?.and(id)?.and(form)?.and(&*stream)?.and(key)?;
        let Loaded { mut found, response } = loaded(&self.read(SNAPSHOT, with).await?)?;
        let after = found.snapshot.as_ref().map_or(0, |snapshot| snapshot.version);
        found.events = self.with_archived(&stream, after, found.events).await?;
        Ok(Loaded { found, response })
    }

    pub(super) async fn response(&self, key: &str) -> Result<Option<StoredResponse>, Fault> {
        let rows = self.read(RESPONSE, Parameters::default().and(key)?).await?;
        rows.first().map(|row| response(row, [0, 1, 2, 3])).transpose()
    }

    pub(super) async fn lookup_inbox(
        &self,
        group: &str,
        messages: &[Uuid],
        keys: &[String],
    ) -> Result<InboxLookup, Fault> {
        let mut lookup = InboxLookup::default();
        for row in self.read(INBOX, Parameters::default().and(group)?.and(messages)?.and(keys)?).await? {
            lookup.handled.extend(get::<Option<Uuid>>(&row, 0)?);
            lookup.parked.extend(get::<Option<String>>(&row, 1)?);
        }
        Ok(lookup)
    }

    pub(super) async fn parked_keys(&self, page: &ParkedPage<'_>) -> Result<Vec<ParkedKey>, Fault> {
        if page.limit == 0 {
            return Ok(Vec::new());
        }
        let (reader, key, number) = page.begin();
        let with = Parameters::default().and(reader)?.and(key)?.and(number)?.and(limit(page.limit))?;
        let with = with.and(page.reader)?.and(limit(page.count_up_to))?;
        let key = |row| {
            let count = get::<i64>(row, 2)? as u64;
            Ok(ParkedKey { reader: get(row, 0)?, key: get(row, 1)?, count, error: get(row, 3)?, since: get(row, 4)? })
        };
        self.read(PARKED_KEYS, with).await?.iter().map(key).collect()
    }

    pub(super) async fn first_parked(&self, reader: &str, keys: &[String]) -> Result<Vec<(String, String)>, Fault> {
        let rows = self.read(FIRST_PARKED, Parameters::default().and(reader)?.and(keys)?).await?;
        rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect()
    }

    pub(super) async fn parked_counts(&self, most: usize) -> Result<Vec<(String, u64)>, Fault> {
        let rows = self.read(PARKED_COUNTS, Parameters::default().and(limit(most))?).await?;
        rows.iter().map(|row| Ok((get(row, 0)?, get::<i64>(row, 1)? as u64))).collect()
    }

    pub(super) async fn parked(&self, reader: &str, key: &str, after: u64, most: usize) -> Result<Vec<Parked>, Fault> {
        let with = Parameters::default().and(reader)?.and(key)?.and(int(after))?.and(limit(most))?;
        self.read(PARKED, with).await?.iter().map(parked).collect()
    }

    pub(super) async fn views(&self, view: &str, keys: &[String]) -> Result<Vec<StoredView>, Fault> {
        let rows = self.read(VIEWS, Parameters::default().and(view)?.and(keys)?).await?;
        let view = |row| Ok(StoredView { key: get(row, 0)?, version: get::<i64>(row, 1)? as u64, value: get(row, 2)? });
        rows.iter().map(view).collect()
    }

    pub(super) async fn views_and_checkpoints(
        &self,
        view: &str,
        keys: &[String],
        readers: &[String],
    ) -> Result<(Vec<StoredView>, Vec<u64>), Fault> {
        let rows = self.read(VIEWS_AND_CHECKPOINTS, Parameters::default().and(view)?.and(keys)?.and(readers)?).await?;
        let (mut found, mut checkpoints) = (Vec::new(), HashMap::new());
        for row in &rows {
            let (name, number) = (get::<String>(row, 0)?, get::<i64>(row, 1)? as u64);
            if get(row, 3)? {
                checkpoints.insert(name, number);
            } else {
                found.push(StoredView { key: name, version: number, value: get(row, 2)? });
            }
        }
        let checkpoints = readers.iter().map(|reader| checkpoints.get(reader).copied().unwrap_or(0)).collect();
        Ok((found, checkpoints))
    }
    pub(super) async fn view_values_after(
        &self,
        stored: &str,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<StoredView>, Fault> {
        let sql = if after.is_some() { VIEW_VALUES_AFTER } else { VIEW_VALUES };
        let with = Parameters::default().and(stored)?.and(after.unwrap_or_default())?.and(limit(most))?;
        let rows = self.read(sql, with).await?;
        let view = |row| Ok(StoredView { key: get(row, 0)?, version: get::<i64>(row, 1)? as u64, value: get(row, 2)? });
        rows.iter().map(view).collect()
    }
    pub(super) async fn views_of_other_index_sets(
        &self,
        view: &str,
        index_sets: &[i64],
        most: usize,
    ) -> Result<Vec<StoredView>, Fault> {
        let with = Parameters::default().and(view)?.and(index_sets)?.and(limit(most))?;
        let rows = self.read(VIEWS_OF_OTHER_INDEX_SETS, with).await?;
        let view = |row| Ok(StoredView { key: get(row, 0)?, version: get::<i64>(row, 1)? as u64, value: get(row, 2)? });
        rows.iter().map(view).collect()
    }

    pub(super) async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Scanned>, Fault> {
        let sql = match (scan.until, scan.reversed) {
            (None, false) => SCAN,
            (None, true) => SCAN_REVERSED,
            (Some(_), false) => SCAN_UNTIL,
            (Some(_), true) => SCAN_UNTIL_REVERSED,
        };
        let rows = self.read(sql, range(scan)?).await?;
        rows.iter().map(|row| Ok(Scanned { entry: get(row, 0)?, key: get(row, 1)?, value: get(row, 2)? })).collect()
    }

    pub(super) async fn count_entries(&self, scan: &Scan<'_>) -> Result<u64, Fault> {
        let sql = if scan.until.is_some() { COUNT_ENTRIES_UNTIL } else { COUNT_ENTRIES };
        self.number(sql, range(scan)?).await
    }
    /// Runs a statement that returns a count.
    async fn number(&self, sql: &'static str, with: Parameters) -> Result<u64, Fault> {
        let rows = self.read(sql, with).await?;
        let count = rows.first().map(|row| get::<i64>(row, 0)).transpose()?;
        count.map(|count| count as u64).ok_or_else(|| Fault::internal("the statement that counts returned nothing"))
    }

    pub(super) async fn checkpoints(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        let rows = self.read(CHECKPOINTS, Parameters::default().and(readers)?).await?;
        let checkpoint = |row| Ok((get(row, 0)?, get::<i64>(row, 1)? as u64));
        let checkpoints = rows.iter().map(checkpoint).collect::<Result<HashMap<String, u64>, Fault>>()?;
        Ok(readers.iter().map(|reader| checkpoints.get(reader).copied().unwrap_or(0)).collect())
    }

    pub(super) async fn log(&self, after: Position, upto: Position, most: ReadLimit) -> Result<Vec<Entry>, Fault> {
        let with = Parameters::default()
            .and(int(after.0))?
            .and(int(upto.0))?
            .and(limit(most.entries))?
            .and(limit(most.bytes))?;
        self.read(LOG, with).await?.into_iter().map(|row| entry(&row)).collect()
    }

    pub(super) async fn log_of(
        &self,
        names: &[&str],
        after: Position,
        upto: Position,
        most: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        let with = Parameters::default()
            .and(int(after.0))?
            .and(int(upto.0))?
            .and(names)?
            .and(limit(most.entries))?
            .and(limit(most.bytes))?;
        self.read(LOG_OF, with).await?.into_iter().map(|row| entry(&row)).collect()
    }

    pub(super) async fn count_log(
        &self,
        counted: CountedEntries<'_>,
        after: Position,
        upto: Position,
        most: usize,
    ) -> Result<u64, Fault> {
        let (names, shard) = counted.parameters();
        let with =
            Parameters::default().and(int(after.0))?.and(int(upto.0))?.and(limit(most))?.and(names)?.and(shard)?;
        self.number(COUNT_LOG, with).await
    }

    pub(super) async fn outgoing_entries(
        &self,
        shards: &[(u16, Position)],
        upto: Position,
        most: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        let (shards, after): (Vec<i16>, Vec<i64>) = shards.iter().map(|(shard, at)| (*shard as i16, int(at.0))).unzip();
        let with = Parameters::default()
            .and(shards)?
            .and(after)?
            .and(int(upto.0))?
            .and(limit(most.entries))?
            .and(limit(most.bytes))?;
        self.read(OUTGOING, with).await?.into_iter().map(|row| entry(&row)).collect()
    }

    pub(super) async fn outgoing_entries_of(
        &self,
        ranges: &[OutgoingRange<'_>],
        most: ReadLimit,
    ) -> Result<Vec<Entry>, Fault> {
        let shards: Vec<i16> = ranges.iter().map(|range| range.shard as i16).collect();
        let topics: Vec<&str> = ranges.iter().map(|range| range.topic).collect();
        let after: Vec<i64> = ranges.iter().map(|range| int(range.after.0)).collect();
        let upto: Vec<i64> = ranges.iter().map(|range| int(range.upto.0)).collect();
        let with = Parameters::default().and(shards)?.and(topics)?.and(after)?.and(upto)?;
        let with = with.and(limit(most.entries))?.and(limit(most.bytes))?;
        self.read(OUTGOING_OF, with).await?.into_iter().map(|row| entry(&row)).collect()
    }

    pub(super) async fn leases(
        &self,
        readers: &[String],
        owner: &str,
        ttl: Duration,
    ) -> Result<Vec<Option<Lease>>, Fault> {
        let rows = self.read(LEASES, Parameters::default().and(readers)?.and(owner)?.and(ttl.as_secs_f64())?).await?;
        let lease = |row| {
            let lease = Lease { epoch: get::<i64>(row, 1)? as u64, position: Position(get::<i64>(row, 2)? as u64) };
            Ok((get(row, 0)?, lease))
        };
        let held = rows.iter().map(lease).collect::<Result<HashMap<String, Lease>, Fault>>()?;
        Ok(readers.iter().map(|reader| held.get(reader).copied()).collect())
    }

    pub(super) async fn release(&self, reader: &str, owner: &str) -> Result<(), Fault> {
        self.read(RELEASE, Parameters::default().and(reader)?.and(owner)?).await.map(drop)
    }
}

fn get<'r, T: Decode<'r, sqlx::Postgres> + Type<sqlx::Postgres>>(row: &'r PgRow, column: usize) -> Result<T, Fault> {
    row.try_get(column).map_err(errors::fault)
}

/// Decodes a stored response from the columns of its key, fingerprint, body and position.
fn response(row: &PgRow, [key, fingerprint, body, position]: [usize; 4]) -> Result<StoredResponse, Fault> {
    Ok(StoredResponse {
        key: get(row, key)?,
        fingerprint: get(row, fingerprint)?,
        body: get(row, body)?,
        position: Position(get::<i64>(row, position)? as u64),
    })
}

/// Decodes the rows of a load: the snapshot, the events in their order, and the response beside them.
fn loaded(rows: &[PgRow]) -> Result<Loaded<SnapshotAndEvents>, Fault> {
    let (mut snapshot, mut events, mut stored_response) = (None, Vec::with_capacity(rows.len()), None);
    for row in rows {
        if get::<Option<i64>>(row, 4)?.is_some() {
            stored_response = Some(response(row, [1, 4, 3, 0])?);
        } else if get::<Option<&str>>(row, 1)?.is_none() {
            snapshot = Some(StoredSnapshot { version: get::<i64>(row, 0)? as u64, state: get(row, 3)? });
        } else {
            events.push(event(row)?);
        }
    }
    Ok(Loaded { found: SnapshotAndEvents { snapshot, events: in_order(events) }, response: stored_response })
}

/// Decodes the rows of a load that has events alone, in their order.
fn events(rows: &[PgRow]) -> Result<Vec<StreamEvent>, Fault> {
    rows.iter().map(event).collect::<Result<_, _>>().map(in_order)
}

fn event(row: &PgRow) -> Result<StreamEvent, Fault> {
    let (name, schema) = (get(row, 1)?, get::<i32>(row, 2)? as u32);
    Ok(StreamEvent { version: get::<i64>(row, 0)? as u64, name, schema, payload: get(row, 3)? })
}

/// Sorts events by their versions. Rows that are in order already cost one comparison each.
fn in_order(mut events: Vec<StreamEvent>) -> Vec<StreamEvent> {
    events.sort_unstable_by_key(|event| event.version);
    events
}

pub(super) fn entry(row: &PgRow) -> Result<Entry, Fault> {
    let outgoing = match get::<Option<String>>(row, 9)? {
        Some(topic) => Some(OutgoingMessage {
            topic,
            key: get(row, 10)?,
            shard: get::<i16>(row, 11)? as u16,
            name: get(row, 12)?,
            content_type: get(row, 13)?,
            body: get(row, 14)?,
        }),
        None => None,
    };
    Ok(Entry {
        position: Position(get::<i64>(row, 0)? as u64),
        stream: get(row, 1)?,
        version: get::<i64>(row, 2)? as u64,
        id: get(row, 3)?,
        name: get(row, 4)?,
        schema: get::<i32>(row, 5)? as u32,
        payload: get(row, 6)?,
        metadata: serde_json::from_str(get(row, 7)?)?,
        occurred_at: get(row, 8)?,
        outgoing,
    })
}

fn parked(row: &PgRow) -> Result<Parked, Fault> {
    let at = get::<i64>(row, 2)? as u64;
    let record = match get::<Option<String>>(row, 3)? {
        Some(topic) => Some(Received {
            partition: Partition { topic, part: get(row, 4)? },
            offset: at,
            key: get(row, 5)?,
            headers: decode_headers(get(row, 6)?)?,
            body: get(row, 7)?,
            timestamp: get(row, 11)?,
        }),
        None => None,
    };
    Ok(Parked {
        number: get::<i64>(row, 0)? as u64,
        message: get(row, 1)?,
        at,
        record,
        error: get(row, 8)?,
        attempts: get::<i32>(row, 9)? as u32,
        since: get(row, 10)?,
    })
}

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

/// Returns the parameters of a read of a range of an index.
fn range(scan: &Scan<'_>) -> Result<Parameters, Fault> {
    let (entry, key) = scan.from;
    let with = Parameters::default().and(scan.view)?.and(scan.index)?.and(entry)?.and(key)?.and(limit(scan.limit))?;
    match scan.until {
        Some((entry, key)) => with.and(entry)?.and(key),
        None => Ok(with),
    }
}
