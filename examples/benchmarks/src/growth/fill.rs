//! Fills the log and the outbox with many rows, as fast as the database writes them.
use anyhow::Result;
use cqrs_core::storage::{Batch, Storage, sqlite};
use sqlx::{Connection, PgConnection};

const INSERT: &str = "insert into cqrs.log (stream, version, id, name, schema, payload, metadata, occurred_at";
/// The service's own form of metadata without any value.
const METADATA: &str = "'{}'::json";

/// Appends entries of an event that no function of the app handles.
pub(crate) async fn foreign(url: &str, entries: u64) -> Result<()> {
    let sql = format!(
        "{INSERT}) select 'other/' || n, 1, gen_random_uuid(), 'other.happened', 1, \
         convert_to('{{\"Happened\":{{\"text\":\"' || repeat('x', 100) || '\"}}}}', 'UTF8'), {METADATA}, now() \
         from generate_series(1, $1) n"
    );
    execute(url, &sql, entries as i64).await
}

/// Appends counted events of `keys` counters, in turns.
pub(crate) async fn counted(url: &str, events: u64, keys: u64) -> Result<()> {
    let sql = format!(
        "{INSERT}) select 'counter/' || (n % {keys}), 1 + n / {keys}, gen_random_uuid(), 'counter.counted', 1, \
         convert_to('{{\"Counted\":{{\"by\":1}}}}', 'UTF8'), {METADATA}, now() from generate_series(0, $1 - 1) n"
    );
    execute(url, &sql, events as i64).await
}

/// Appends the same events to the log in an SQLite file.
pub(crate) async fn counted_in_sqlite(storage: &dyn Storage, events: u64, keys: u64) -> Result<()> {
    let sql = "with recursive numbers (n) as (select 0 union all select n + 1 from numbers where n + 1 < ?1) \
        insert into cqrs_log (stream, version, id, name, schema, payload, metadata, occurred_at) \
        select 'counter/' || (n % ?2), 1 + n / ?2, randomblob(16), 'counter.counted', 1, \
        cast('{\"Counted\":{\"by\":1}}' as blob), '{}', cast(unixepoch('subsec') * 1000000 as integer) from numbers";
    let mut transaction = storage.begin().await?;
    let insert = sqlx::query(sql).bind(events as i64).bind(keys as i64);
    insert.execute(sqlite::transaction(&mut *transaction)).await?;
    transaction.commit(Batch::default()).await?;
    Ok(())
}

/// Appends entries whose outgoing messages every audience has received, a second ago.
pub(crate) async fn outgoing(url: &str, entries: u64) -> Result<()> {
    let sql = format!(
        "{INSERT}, topic, message_key, shard, message_type, content_type, message_body) \
         select 'other/' || n, 1, gen_random_uuid(), 'other.happened', 1, '\\x7b7d'::bytea, {METADATA}, now(), \
         'topic', n::text, (n % 16)::smallint, 'other.happened.v1', 'application/json', '\\x7b7d'::bytea \
         from generate_series(1, $1) n"
    );
    execute(url, &sql, entries as i64).await
}

/// Parks messages of a reader: half of them with one key, and each other one with its own.
pub(crate) async fn parked(url: &str, reader: &str, messages: u64) -> Result<()> {
    let sql = format!(
        "insert into cqrs.parked (reader, key, message, at, error, attempts) select '{reader}', \
         case when n % 2 = 0 then 'counter/many' else 'counter/parked-' || n end, gen_random_uuid(), n, 'seeded', 1 \
         from generate_series(1, $1) n"
    );
    execute(url, &sql, messages as i64).await
}

/// Sets timers that are due in a month, each with a key of its own.
pub(crate) async fn timers(url: &str, command: &str, timers: u64) -> Result<()> {
    let sql = format!(
        "insert into cqrs.timer (name, id, due, key, command, body, metadata, set_by) select 'waiting/' || n, \
         gen_random_uuid(), clock_timestamp() + interval '30 days' + n * interval '1 millisecond', 'waiting/' || n, \
         '{command}', convert_to('null', 'UTF8'), {METADATA}, 'a benchmark' from generate_series(1, $1) n"
    );
    execute(url, &sql, timers as i64).await
}

async fn execute(url: &str, sql: &str, count: i64) -> Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(count).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}
