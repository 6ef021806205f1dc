//! Reads, each on one of the read-only connections.
#[cfg(test)]
mod tests;

use super::number;
use crate::{
    Timestamp,
    event::{Entry, OutgoingMessage, StreamEvent, stream_of},
    position::Position,
    storage::archive::is_contiguous,
    storage::parked::decode_headers,
    storage::{
        CountedEntries, InboxLookup, Loaded, OutgoingRange, Parked, ParkedKey, ParkedPage, ReadLimit, Scan, Scanned,
        SnapshotAndEvents, StoredData, StoredProgram, StoredResponse, StoredRow, StoredSnapshot, StoredView,
    },
    transport::{Partition, Received},
};
use chrono::DateTime;
use sqlx::{
    Row, Sqlite, SqlitePool, query,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};
use uuid::Uuid;

/// Selects the entries up to a limit of their number and of their bytes, the last two parameters. The sizes are read
/// first, since the window function would copy the payloads.
macro_rules! limited_entries {
    ($range:literal, $payload_size:literal) => {
        limited_entries!($range, $payload_size, "payload")
    };
    ($range:literal, $payload_size:literal, $payload:literal) => {
        limited_entries!($range, $payload_size, $payload, "cqrs_log")
    };
    ($range:literal, $payload_size:literal, $payload:literal, $table:literal) => {
        concat!(
            "select pos, stream, version, id, name, schema, ",
            $payload,
            ", metadata, occurred_at, topic, message_key, shard, message_type, content_type, message_body from ",
            $table,
            " where pos in (select pos from (select pos, \
             sum(size) over (order by pos rows between unbounded preceding and 1 preceding) as bytes_before from \
             (select pos, coalesce(length(message_body), 0) ",
            $payload_size,
            " as size from ",
            $table,
            " where ",
            $range,
            " order by pos limit ?)) where coalesce(bytes_before, 0) < ?) order by pos"
        )
    };
}

/// Selects the entries of the log and of its archive, in this order. Events are archived between the two reads, and never
/// moved back, so the log is read first: an event that is in neither result does not exist.
macro_rules! whole_log {
    ($range:literal) => {
        [
            limited_entries!($range, "+ coalesce(length(payload), 0)"),
            limited_entries!($range, "+ coalesce(length(payload), 0)", "payload", "cqrs_archived_log"),
        ]
    };
}

/// Joins the results of reads of the log and of its archive up to the limit of both.
pub(super) fn joined<K: Ord>(found: [Vec<Entry>; 2], most: ReadLimit, key: impl Fn(&Entry) -> K) -> Vec<Entry> {
    let [hot, archived] = found;
    if archived.is_empty() {
        return hot;
    }
    let mut all: Vec<_> = hot.into_iter().chain(archived).collect();
    all.sort_by_key(&key);
    all.dedup_by(|a, b| key(a) == key(b));
    most.take(all)
}

pub(super) async fn row(pool: &SqlitePool, kind: &str, id: &str, key: Option<&str>) -> sqlx::Result<Loaded<StoredRow>> {
    let row = query("select version, value from cqrs_state where kind = ? and id = ?").bind(kind).bind(id);
    let found = match row.fetch_optional(pool).await? {
        Some(row) => StoredRow { version: number(&row, 0)?, state: row.try_get(1)? },
        None => StoredRow::default(),
    };
    Ok(Loaded { found, response: beside(pool, key).await? })
}

const STREAM: &str =
    "select version, name, schema, payload from cqrs_log where stream = ? and version > ? order by version";
const ARCHIVED_STREAM: &str =
    "select version, name, schema, payload from cqrs_archived_log where stream = ? and version > ? order by version";

pub(super) async fn stream(
    pool: &SqlitePool,
    stream: &str,
    after: u64,
    key: Option<&str>,
) -> sqlx::Result<Loaded<Vec<StreamEvent>>> {
    let mut found = events(pool, STREAM, stream, after).await?;
    if !is_contiguous(after, &found) {
        found.extend(events(pool, ARCHIVED_STREAM, stream, after).await?);
        found.sort_by_key(|event| event.version);
        // An event that was archived between the two reads is in both.
        found.dedup_by_key(|event| event.version);
    }
    Ok(Loaded { found, response: beside(pool, key).await? })
}

async fn events(pool: &SqlitePool, sql: &'static str, stream: &str, after: u64) -> sqlx::Result<Vec<StreamEvent>> {
    let event = |row: &SqliteRow| {
        let (name, schema, payload) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        Ok(StreamEvent { version: number(row, 0)?, name, schema, payload })
    };
    query(sql).bind(stream).bind(signed(after)).fetch_all(pool).await?.iter().map(event).collect()
}

pub(super) async fn stream_page(
    pool: &SqlitePool,
    stream: &str,
    after: u64,
    most: ReadLimit,
) -> sqlx::Result<Vec<Entry>> {
    macro_rules! page {
        ($table:literal) => {
            concat!(
                "select pos, stream, version, id, name, schema, payload, metadata, occurred_at,
                topic, message_key, shard, message_type, content_type, message_body from ",
                $table,
                " where pos in (select pos from (select pos, sum(size) over
                (order by version rows between unbounded preceding and 1 preceding) as bytes_before from
                (select pos, version, coalesce(length(message_body), 0) + coalesce(length(payload), 0) as size from ",
                $table,
                " where stream = ?1 and version > ?2 order by version limit ?3))
                where coalesce(bytes_before, 0) < ?4) order by version"
            )
        };
    }
    let mut found = [Vec::new(), Vec::new()];
    for (found, sql) in found.iter_mut().zip([page!("cqrs_log"), page!("cqrs_archived_log")]) {
        let rows = query(sql).bind(stream).bind(signed(after)).bind(limit(most.entries)).bind(limit(most.bytes));
        *found = rows.fetch_all(pool).await?.iter().map(entry).collect::<Result<_, _>>()?;
    }
    Ok(joined(found, most, |entry| entry.version))
}

/// Reads the snapshot before the events: it describes events that were committed then.
pub(super) async fn snapshot(
    pool: &SqlitePool,
    kind: &str,
    id: &str,
    form: i64,
    key: Option<&str>,
) -> sqlx::Result<Loaded<SnapshotAndEvents>> {
    let name = stream_of(kind, id);
    let sql = "select s.version, s.value from cqrs_snapshot s
        where s.kind = ?1 and s.id = ?2 and (s.form = ?3 or s.value is null)
        and exists (select 1 from cqrs_log h where h.stream = ?4 and h.version = s.version and h.id = s.event)";
    let row = query(sql).bind(kind).bind(id).bind(form).bind(&*name).fetch_optional(pool).await?;
    let snapshot = match row {
        Some(row) => Some(StoredSnapshot { version: number(&row, 0)?, state: row.try_get(1)? }),
        None => None,
    };
    let after = snapshot.as_ref().map_or(0, |snapshot| snapshot.version);
    let Loaded { found: events, response } = stream(pool, &name, after, key).await?;
    Ok(Loaded { found: SnapshotAndEvents { snapshot, events }, response })
}

pub(super) async fn response(pool: &SqlitePool, key: &str) -> sqlx::Result<Option<StoredResponse>> {
    let row = query("select key, fingerprint, body, pos from cqrs_stored_response where key = ?").bind(key);
    let Some(row) = row.fetch_optional(pool).await? else { return Ok(None) };
    let (key, fingerprint, body) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(Some(StoredResponse { key, fingerprint, body, position: Position(number(&row, 3)?) }))
}

/// Reads the stored response, if a key is given. It is read after the state, so that the response is never older than
/// the state.
async fn beside(pool: &SqlitePool, key: Option<&str>) -> sqlx::Result<Option<StoredResponse>> {
    match key {
        Some(key) => response(pool, key).await,
        None => Ok(None),
    }
}

pub(super) async fn lookup_inbox(
    pool: &SqlitePool,
    group: &str,
    messages: &[Uuid],
    keys: &[String],
) -> sqlx::Result<InboxLookup> {
    let sql = "select message, null from cqrs_inbox
        where grp = ?1 and message in (select unhex(value) from json_each(?2))
        union all select null, value from json_each(?3)
        where exists (select 1 from cqrs_parked where reader = ?1 and key = value)";
    let messages = list(messages.iter().map(|message| message.simple().to_string()))?;
    let mut lookup = InboxLookup::default();
    for row in query(sql).bind(group).bind(messages).bind(list(keys)?).fetch_all(pool).await? {
        lookup.handled.extend(row.try_get::<Option<Uuid>, _>(0)?);
        lookup.parked.extend(row.try_get::<Option<String>, _>(1)?);
    }
    Ok(lookup)
}

pub(super) async fn programs(pool: &SqlitePool, after: u64) -> sqlx::Result<Vec<StoredProgram>> {
    let sql = "select number, declaration from cqrs_program where number > ? order by number";
    let program = |row: &SqliteRow| Ok(StoredProgram { number: number(row, 0)?, declaration: row.try_get(1)? });
    query(sql).bind(signed(after)).fetch_all(pool).await?.iter().map(program).collect()
}

pub(super) async fn notes(pool: &SqlitePool, prefix: &str) -> sqlx::Result<Vec<(String, String)>> {
    let sql = "select name, value from cqrs_note where substr(name, 1, length(?1)) = ?1 order by name";
    let note = |row: &SqliteRow| Ok((row.try_get(0)?, row.try_get(1)?));
    query(sql).bind(prefix.to_owned()).fetch_all(pool).await?.iter().map(note).collect()
}

/// Finds each next key by the partial index on this error, and no further ones than are returned or wait behind another
/// error.
const LEFT: &str = "with recursive keys(seq) as (
    select (select seq from cqrs_parked where error = 'left to a newer program, which handles it'
        order by reader, key limit 1)
    union all select coalesce(
        (select m.seq from cqrs_parked m where m.error = 'left to a newer program, which handles it'
            and m.reader = p.reader and m.key > p.key order by m.key limit 1),
        (select m.seq from cqrs_parked m where m.error = 'left to a newer program, which handles it'
            and m.reader > p.reader order by m.reader, m.key limit 1))
    from keys k cross join cqrs_parked p on p.seq = k.seq)
    select p.reader, p.key from keys k cross join cqrs_parked p on p.seq = k.seq
    where (select first.error from cqrs_parked first where first.reader = p.reader and first.key = p.key
        order by first.seq limit 1) = 'left to a newer program, which handles it' limit ?";

pub(super) async fn left_to_newer_program(pool: &SqlitePool, most: usize) -> sqlx::Result<Vec<(String, String)>> {
    query(LEFT)
        .bind(limit(most))
        .fetch_all(pool)
        .await?
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// The name under which a read of the view `?1`, or of one of its copies, finds the values.
macro_rules! serving {
    () => {
        "coalesce((select c.stored from cqrs_view_copy c where c.view = ?1),
        case when ?1 like '%~0' then substr(?1, 1, length(?1) - 2) else ?1 end)"
    };
}

pub(super) async fn holds(pool: &SqlitePool, data: &StoredData) -> sqlx::Result<bool> {
    let (sql, name) = match data {
        StoredData::Aggregate(name) => (
            "select exists (select 1 from cqrs_state where kind = ?1)
                or exists (select 1 from cqrs_log where stream >= ?1 || '/' and stream < ?1 || '0')",
            name,
        ),
        StoredData::Event(name) => (
            "select exists (select 1 from cqrs_log where name = ?1)
                or exists (select 1 from cqrs_archived_log where name = ?1)",
            name,
        ),
        StoredData::View(name) => (
            concat!("select exists (select 1 from cqrs_view where view = ", serving!(), " and value is not null)"),
            name,
        ),
    };
    query(sql).bind(name).fetch_one(pool).await?.try_get(0)
}

/// Finds each next set of indexes through the index on the sets, and the values of those that are not given.
pub(super) async fn views_of_other_index_sets(
    pool: &SqlitePool,
    view: &str,
    index_sets: &[i64],
    most: usize,
) -> sqlx::Result<Vec<StoredView>> {
    let sql = concat!(
        "with recursive sets(index_set) as (select min(index_set) from cqrs_view where view = ",
        serving!(),
        " union all select (select min(v.index_set) from cqrs_view v where v.view = ",
        serving!(),
        " and v.index_set > s.index_set) from sets s where s.index_set is not null)
        select v.key, v.version, v.value from sets s cross join cqrs_view v where v.view = ",
        serving!(),
        " and v.index_set = s.index_set and s.index_set not in (select value from json_each(?2)) limit ?3"
    );
    let index_sets = serde_json::to_string(index_sets).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let rows = query(sql).bind(view).bind(index_sets).bind(limit(most)).fetch_all(pool).await?;
    let stored =
        |row: &SqliteRow| Ok(StoredView { key: row.try_get(0)?, version: number(row, 1)?, value: row.try_get(2)? });
    rows.iter().map(stored).collect()
}

/// Finds each next key by the index on reader, key and number; its first entry there is the key's first message. A
/// comparison of rows, `(m.reader, m.key) > (p.reader, p.key)`, would use the first column of the index alone, and read all
/// messages of the reader for each key.
const PARKED_KEYS: &str = "with recursive heads(seq, n) as (
        select (select seq from cqrs_parked where (reader, key, seq) > (?1, ?2, ?3) order by reader, key, seq limit 1), 1
        union all select coalesce(
            (select m.seq from cqrs_parked m where m.reader = p.reader and m.key > p.key order by m.key, m.seq limit 1),
            (select m.seq from cqrs_parked m where m.reader > p.reader order by m.reader, m.key, m.seq limit 1)), h.n + 1
        from heads h cross join cqrs_parked p on p.seq = h.seq where h.n < ?4 and (?5 is null or p.reader = ?5))
        select p.reader, p.key,
        (select count(*) from (select 1 from cqrs_parked c where c.reader = p.reader and c.key = p.key limit ?6)),
        p.error, p.since from heads h cross join cqrs_parked p on p.seq = h.seq
        where ?5 is null or p.reader = ?5 order by h.n limit ?4";

pub(super) async fn parked_keys(pool: &SqlitePool, page: &ParkedPage<'_>) -> sqlx::Result<Vec<ParkedKey>> {
    let key = |row: &SqliteRow| {
        let (reader, key, error) = (row.try_get(0)?, row.try_get(1)?, row.try_get(3)?);
        Ok(ParkedKey { reader, key, count: number(row, 2)?, error, since: time(row, 4)? })
    };
    let (reader, key_after, number_after) = page.begin();
    let rows = query(PARKED_KEYS).bind(reader).bind(key_after).bind(number_after).bind(limit(page.limit));
    let rows = rows.bind(page.reader).bind(limit(page.count_up_to));
    rows.fetch_all(pool).await?.iter().map(key).collect()
}

pub(super) async fn first_parked(
    pool: &SqlitePool,
    reader: &str,
    keys: &[String],
) -> sqlx::Result<Vec<(String, String)>> {
    let sql = "select p.key, p.error from json_each(?2) j cross join cqrs_parked p on p.seq =
        (select m.seq from cqrs_parked m where m.reader = ?1 and m.key = j.value order by m.seq limit 1)";
    let rows = query(sql).bind(reader).bind(list(keys)?).fetch_all(pool).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Finds each next reader by the index on reader and key, and counts its entries there up to the limit.
pub(super) async fn parked_counts(pool: &SqlitePool, most: usize) -> sqlx::Result<Vec<(String, u64)>> {
    let sql = "with recursive readers(reader) as (select min(reader) from cqrs_parked
        union all select (select min(m.reader) from cqrs_parked m where m.reader > r.reader)
        from readers r where r.reader is not null)
        select r.reader, (select count(*) from (select 1 from cqrs_parked m where m.reader = r.reader limit ?1))
        from readers r where r.reader is not null";
    let rows = query(sql).bind(limit(most)).fetch_all(pool).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, number(row, 1)?))).collect()
}

pub(super) async fn parked(
    pool: &SqlitePool,
    reader: &str,
    key: &str,
    after: u64,
    most: usize,
) -> sqlx::Result<Vec<Parked>> {
    let sql = "select seq, message, at, topic, part, record_key, headers, body, error, attempts, since, record_time
        from cqrs_parked where reader = ? and key = ? and seq > ? order by seq limit ?";
    let rows = query(sql).bind(reader).bind(key).bind(signed(after)).bind(limit(most)).fetch_all(pool).await?;
    rows.iter().map(parked_row).collect()
}

fn parked_row(row: &SqliteRow) -> sqlx::Result<Parked> {
    let at = number(row, 2)?;
    let record = match row.try_get::<Option<String>, _>(3)? {
        Some(topic) => Some(Received {
            partition: Partition { topic, part: row.try_get(4)? },
            offset: at,
            key: row.try_get(5)?,
            headers: decode_headers(row.try_get(6)?).map_err(|error| sqlx::Error::Decode(error.into()))?,
            body: row.try_get(7)?,
            timestamp: row.try_get::<Option<i64>, _>(11)?.map(|_| time(row, 11)).transpose()?,
        }),
        None => None,
    };
    Ok(Parked {
        number: number(row, 0)?,
        message: row.try_get(1)?,
        at,
        record,
        error: row.try_get(8)?,
        attempts: row.try_get(9)?,
        since: time(row, 10)?,
    })
}

fn time(row: &SqliteRow, column: usize) -> sqlx::Result<Timestamp> {
    let broken = || sqlx::Error::Decode("a stored time is out of range".into());
    DateTime::from_timestamp_micros(row.try_get(column)?).ok_or_else(broken)
}

pub(super) async fn views(pool: &SqlitePool, view: &str, keys: &[String]) -> sqlx::Result<Vec<StoredView>> {
    let sql = concat!(
        "select key, version, value from cqrs_view where view = ",
        serving!(),
        " and key in (select value from json_each(?2))"
    );
    let rows = query(sql).bind(view).bind(list(keys)?).fetch_all(pool).await?;
    let stored =
        |row: &SqliteRow| Ok(StoredView { key: row.try_get(0)?, version: number(row, 1)?, value: row.try_get(2)? });
    rows.iter().map(stored).collect()
}

pub(super) async fn view_values_after(
    pool: &SqlitePool,
    stored: &str,
    after: Option<&str>,
    most: usize,
) -> sqlx::Result<Vec<StoredView>> {
    let sql = match after {
        None => "select key, version, value from cqrs_view where view = ?1 and key >= ?2 order by key limit ?3",
        Some(_) => "select key, version, value from cqrs_view where view = ?1 and key > ?2 order by key limit ?3",
    };
    let rows = query(sql).bind(stored).bind(after.unwrap_or_default()).bind(limit(most)).fetch_all(pool).await?;
    let stored =
        |row: &SqliteRow| Ok(StoredView { key: row.try_get(0)?, version: number(row, 1)?, value: row.try_get(2)? });
    rows.iter().map(stored).collect()
}

/// A range of an index. The comparisons of rows read a range of the primary key.
macro_rules! index_range {
    ($before:literal, $until:literal, $order:literal, $after:literal) => {
        concat!(
            $before,
            "(select e.view, e.entry, e.key from cqrs_view_index e where e.view = ",
            serving!(),
            " and e.name = ?2 and (e.entry, e.key) >= (?3, ?4)",
            $until,
            " order by ",
            $order,
            " limit ?5) e",
            $after
        )
    };
}
macro_rules! scan {
    ($until:literal, $order:literal) => {
        index_range!(
            "select e.entry, e.key, v.value from ",
            $until,
            $order,
            " cross join cqrs_view v on v.view = e.view and v.key = e.key"
        )
    };
}
macro_rules! count_entries {
    ($until:literal) => {
        index_range!("select count(*) from ", $until, "e.entry, e.key", "")
    };
}
const SCAN: &str = scan!("", "e.entry, e.key");
const SCAN_REVERSED: &str = scan!("", "e.entry desc, e.key desc");
const SCAN_UNTIL: &str = scan!(" and (e.entry, e.key) < (?6, ?7)", "e.entry, e.key");
const SCAN_UNTIL_REVERSED: &str = scan!(" and (e.entry, e.key) < (?6, ?7)", "e.entry desc, e.key desc");
const COUNT_ENTRIES: &str = count_entries!("");
const COUNT_ENTRIES_UNTIL: &str = count_entries!(" and (e.entry, e.key) < (?6, ?7)");
/// The reads of a range of an index. For the test of their plans.
#[doc(hidden)]
pub const RANGES_OF_INDEX: [&str; 6] =
    [SCAN, SCAN_REVERSED, COUNT_ENTRIES, SCAN_UNTIL, SCAN_UNTIL_REVERSED, COUNT_ENTRIES_UNTIL];

pub(super) async fn scan(pool: &SqlitePool, scan: &Scan<'_>) -> sqlx::Result<Vec<Scanned>> {
    let sql = match (scan.until, scan.reversed) {
        (None, false) => SCAN,
        (None, true) => SCAN_REVERSED,
        (Some(_), false) => SCAN_UNTIL,
        (Some(_), true) => SCAN_UNTIL_REVERSED,
    };
    let rows = range(sql, scan).fetch_all(pool).await?;
    rows.iter()
        .map(|row| Ok(Scanned { entry: row.try_get(0)?, key: row.try_get(1)?, value: row.try_get(2)? }))
        .collect()
}

pub(super) async fn count_entries(pool: &SqlitePool, scan: &Scan<'_>) -> sqlx::Result<u64> {
    let sql = if scan.until.is_some() { COUNT_ENTRIES_UNTIL } else { COUNT_ENTRIES };
    number(&range(sql, scan).fetch_one(pool).await?, 0)
}

/// Adds the parameters of a range of an index to a statement.
fn range(sql: &'static str, scan: &Scan<'_>) -> Query<'static, Sqlite, SqliteArguments> {
    let (entry, key) = scan.from;
    let statement = query(sql).bind(scan.view).bind(scan.index).bind(entry).bind(key).bind(limit(scan.limit));
    match scan.until {
        Some((entry, key)) => statement.bind(entry).bind(key),
        None => statement,
    }
}

pub(super) async fn checkpoints(pool: &SqlitePool, readers: &[String]) -> sqlx::Result<Vec<u64>> {
    let sql = "select coalesce(r.checkpoint, 0) from json_each(?) j
        left join cqrs_reader r on r.reader = j.value order by j.key";
    query(sql).bind(list(readers)?).fetch_all(pool).await?.iter().map(|row| number(row, 0)).collect()
}

/// Reads the high-water mark. With one writer, positions are in commit order, so everything visible is safe to read.
/// `max(pos)` would not do, since it falls when the newest entries are deleted.
pub(super) async fn high_water_mark(pool: &SqlitePool) -> sqlx::Result<Position> {
    let row = query("select coalesce((select seq from sqlite_sequence where name = 'cqrs_log'), 0)");
    Ok(Position(number(&row.fetch_one(pool).await?, 0)?))
}

pub(super) async fn log(
    pool: &SqlitePool,
    after: Position,
    upto: Position,
    most: ReadLimit,
) -> sqlx::Result<Vec<Entry>> {
    let mut found = [Vec::new(), Vec::new()];
    for (found, sql) in found.iter_mut().zip(whole_log!("pos > ? and pos <= ?")) {
        let rows =
            query(sql).bind(signed(after.0)).bind(signed(upto.0)).bind(limit(most.entries)).bind(limit(most.bytes));
        *found = rows.fetch_all(pool).await?.iter().map(entry).collect::<Result<_, _>>()?;
    }
    Ok(joined(found, most, |entry| entry.position))
}

pub(super) async fn log_of(
    pool: &SqlitePool,
    names: &[&str],
    after: Position,
    upto: Position,
    most: ReadLimit,
) -> sqlx::Result<Vec<Entry>> {
    let names = serde_json::to_string(names).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let mut found = [Vec::new(), Vec::new()];
    let texts = whole_log!("pos > ? and pos <= ? and name in (select value from json_each(?))");
    for (found, sql) in found.iter_mut().zip(texts) {
        let rows = query(sql).bind(signed(after.0)).bind(signed(upto.0)).bind(&*names);
        let rows = rows.bind(limit(most.entries)).bind(limit(most.bytes));
        *found = rows.fetch_all(pool).await?.iter().map(entry).collect::<Result<_, _>>()?;
    }
    Ok(joined(found, most, |entry| entry.position))
}

pub(super) async fn count_log(
    pool: &SqlitePool,
    counted: CountedEntries<'_>,
    after: Position,
    upto: Position,
    most: usize,
) -> sqlx::Result<u64> {
    let sql = "select count(*) from (select * from (
            select * from (select pos, name, shard from cqrs_log where pos > ?1 and pos <= ?2 order by pos limit ?3)
            union all select * from
            (select pos, name, shard from cqrs_archived_log where pos > ?1 and pos <= ?2 order by pos limit ?3))
            order by pos limit ?3)
        where name in (select value from json_each(?4)) or shard = ?5";
    let (names, shard) = counted.parameters();
    let names = serde_json::to_string(names).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let row = query(sql).bind(signed(after.0)).bind(signed(upto.0)).bind(limit(most)).bind(names).bind(shard);
    number(&row.fetch_one(pool).await?, 0)
}

pub(super) async fn outgoing_entries(
    pool: &SqlitePool,
    shards: &[(u16, Position)],
    upto: Position,
    most: ReadLimit,
) -> sqlx::Result<Vec<Entry>> {
    let mut found = Vec::new();
    for (shard, after) in shards {
        let rows = query(limited_entries!("topic is not null and shard = ? and pos > ? and pos <= ?", "", "x''"));
        let rows = rows.bind(*shard).bind(signed(after.0)).bind(signed(upto.0));
        let rows = rows.bind(limit(most.entries)).bind(limit(most.bytes));
        for row in rows.fetch_all(pool).await? {
            found.push(entry(&row)?);
        }
    }
    Ok(found)
}

pub(super) async fn outgoing_entries_of(
    pool: &SqlitePool,
    ranges: &[OutgoingRange<'_>],
    most: ReadLimit,
) -> sqlx::Result<Vec<Entry>> {
    let mut found = Vec::new();
    for OutgoingRange { shard, topic, after, upto } in ranges {
        let rows = query(limited_entries!(
            "topic = ? and topic is not null and shard = ? and pos > ? and pos <= ?",
            "",
            "x''"
        ));
        let rows = rows.bind((*topic).to_owned()).bind(*shard).bind(signed(after.0)).bind(signed(upto.0));
        let rows = rows.bind(limit(most.entries)).bind(limit(most.bytes));
        for row in rows.fetch_all(pool).await? {
            found.push(entry(&row)?);
        }
    }
    Ok(found)
}

pub(super) fn entry(row: &SqliteRow) -> sqlx::Result<Entry> {
    let broken = |what: &str| sqlx::Error::Decode(format!("an entry of the log has an invalid {what}").into());
    let outgoing = match row.try_get(9)? {
        Some(topic) => {
            let shard = row.try_get(11)?;
            Some(OutgoingMessage {
                topic,
                key: row.try_get(10)?,
                shard,
                name: row.try_get(12)?,
                content_type: row.try_get(13)?,
                body: row.try_get(14)?,
            })
        }
        None => None,
    };
    Ok(Entry {
        position: Position(number(row, 0)?),
        stream: row.try_get(1)?,
        version: number(row, 2)?,
        id: row.try_get(3)?,
        name: row.try_get(4)?,
        schema: row.try_get(5)?,
        payload: row.try_get(6)?,
        metadata: serde_json::from_str(row.try_get(7)?).map_err(|_| broken("metadata"))?,
        occurred_at: DateTime::from_timestamp_micros(row.try_get(8)?).ok_or_else(|| broken("time"))?,
        outgoing,
    })
}

/// Encodes a list as one parameter, so that one prepared statement serves any number of items.
pub(super) fn list(items: impl IntoIterator<Item = impl AsRef<str>>) -> sqlx::Result<String> {
    let items: Vec<_> = items.into_iter().collect();
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    serde_json::to_string(&items).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// Converts a number for SQLite. Callers may pass any position; larger ones than `i64::MAX` do not exist.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
