//! Reads the databases by SQL.
use crate::fault_suite::{
    account::{Credited, account_of},
    check::Posting,
    deploy::new_consumer::{BONUSES, Bonuses},
    mirror::{Applied, GROUP},
    tally::Tally,
};
use anyhow::{Context, Result};
use sqlx::{PgPool, postgres::PgPoolOptions};
use std::{collections::BTreeMap, time::Duration};

/// Returns a pool that connects on first use, because the server may be down now.
///
/// # Errors
/// Fails when the URL is invalid.
pub fn open(url: &str) -> Result<PgPool> {
    let options = PgPoolOptions::new().max_connections(3).acquire_timeout(Duration::from_secs(5));
    Ok(options.connect_lazy(url)?)
}

async fn payloads(pool: &PgPool) -> Result<Vec<(i64, String, Vec<u8>)>> {
    // The log also records the redelivery of parked messages.
    let credits = "select pos, stream, payload from cqrs.log where name not like 'parked.%' order by pos";
    Ok(sqlx::query_as(credits).fetch_all(pool).await?)
}

/// Returns the log of the accounts.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn log(pool: &PgPool) -> Result<Vec<Posting>> {
    let read = |(at, stream, payload): (i64, String, Vec<u8>)| {
        let credited: Credited = serde_json::from_slice(&payload).context("not a credit")?;
        Ok(credited.posting(account_of(&stream)?, at as u64))
    };
    payloads(pool).await?.into_iter().map(read).collect()
}

/// Returns the credits that the subscriber applied, in the order of its commits.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn applied(pool: &PgPool) -> Result<Vec<Posting>> {
    let read = |(at, stream, payload): (i64, String, Vec<u8>)| {
        let applied: Applied = serde_json::from_slice(&payload).context("not a mirrored credit")?;
        Ok(applied.posting(account_of(&stream)?, at as u64))
    };
    payloads(pool).await?.into_iter().map(read).collect()
}

/// Returns a projection's views by account, of the copy that serves.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn tallies(pool: &PgPool, view: &str) -> Result<BTreeMap<String, Tally>> {
    let rows = sqlx::query_as::<_, (String, Vec<u8>)>(
        "select key, value from cqrs.view \
        where view = coalesce((select stored from cqrs.view_copy where view = $1), $1)",
    );
    let rows = rows.bind(view).fetch_all(pool).await?;
    rows.into_iter().map(|(key, value)| Ok((key, serde_json::from_slice(&value)?))).collect()
}

/// Returns the account and the id of every bonus in the view of bonuses, each account in order.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn bonuses(pool: &PgPool) -> Result<Vec<(String, u64)>> {
    let rows = sqlx::query_as::<_, (String, Vec<u8>)>(
        "select key, value from cqrs.view where view = $1 order by key collate \"C\"",
    );
    let mut all = Vec::new();
    for (key, value) in rows.bind(BONUSES).fetch_all(pool).await? {
        let Bonuses(ids) = serde_json::from_slice(&value)?;
        all.extend(ids.into_iter().map(|id| (key.clone(), id)));
    }
    Ok(all)
}

/// Returns the account and the id of every bonus in the log, each account in order.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn booked_bonuses(pool: &PgPool) -> Result<Vec<(String, u64)>> {
    let bonuses =
        "select stream, payload from cqrs.log where name = 'account.bonus' order by stream collate \"C\", pos";
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(bonuses).fetch_all(pool).await?;
    let read = |(stream, payload): (String, Vec<u8>)| {
        let credited: Credited = serde_json::from_slice(&payload).context("not a bonus")?;
        let key = account_of(&stream)?;
        Ok((key.clone(), credited.posted(key).id))
    };
    rows.into_iter().map(read).collect()
}

/// Returns the number of the subscriber's inbox records.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn inbox_records(pool: &PgPool) -> Result<u64> {
    let inbox_records = sqlx::query_scalar::<_, i64>("select count(*) from cqrs.inbox where grp = $1").bind(GROUP);
    Ok(inbox_records.fetch_one(pool).await? as u64)
}

/// Returns the state and statement of a connection that has not been idle for more than a second, if there is one.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn busy_connection(pool: &PgPool) -> Result<Option<String>> {
    let busy = "select state || ' since ' || state_change || ': ' || query from pg_stat_activity \
        where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid() \
        and state <> 'idle' and state_change < clock_timestamp() - interval '1 second' limit 1";
    Ok(sqlx::query_scalar(busy).fetch_optional(pool).await?)
}

/// Returns the number of credits in the log.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn count(pool: &PgPool) -> Result<u64> {
    let credits = "select count(*) from cqrs.log where name not like 'parked.%'";
    Ok(sqlx::query_scalar::<_, i64>(credits).fetch_one(pool).await? as u64)
}

/// Returns at most a hundred parked messages, described. A database without tables has none.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn parked(pool: &PgPool) -> Result<Vec<String>> {
    if !sqlx::query_scalar::<_, bool>("select to_regclass('cqrs.parked') is not null").fetch_one(pool).await? {
        return Ok(Vec::new());
    }
    let parked =
        "select reader || ' still has ' || key || ' parked: ' || error from cqrs.parked order by seq limit 100";
    Ok(sqlx::query_scalar(parked).fetch_all(pool).await?)
}

/// Installs a trigger that records every message that is parked.
///
/// # Errors
/// Fails when the database has no tables yet.
pub async fn record_parked(pool: &PgPool) -> Result<()> {
    let record = "create table was_parked (key text, message text); \
        create function was_parked() returns trigger language plpgsql as $$ begin \
        insert into was_parked values (new.key, new.reader || ' parked ' || new.key || ': ' || new.error); \
        return new; end $$; \
        create trigger was_parked before insert on cqrs.parked for each row execute function was_parked()";
    sqlx::raw_sql(record).execute(pool).await?;
    Ok(())
}

/// Returns the key and the description of every message that was parked since [`record_parked`].
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn were_parked(pool: &PgPool) -> Result<Vec<(String, String)>> {
    Ok(sqlx::query_as("select key, message from was_parked").fetch_all(pool).await?)
}

/// Parks this number of unreadable messages for a reader by SQL, in turn on as many keys, as if a third party had been
/// down. The keys begin with [`FILLED`].
///
/// # Errors
/// Fails when the database refuses it.
pub async fn fill_parked(pool: &PgPool, reader: &str, messages: i64, keys: i64) -> Result<()> {
    let fill = "insert into cqrs.parked \
        (reader, key, message, at, topic, part, record_key, headers, body, record_time, error, attempts) \
        select $1, $4 || lpad((n % $3)::text, 6, '0'), gen_random_uuid(), n, 'filled', '0', convert_to('filled', 'UTF8'), \
        '[]', convert_to('not a credit', 'UTF8'), now(), \
        case when n < $3 then 'the third party does not agree' else 'waits behind the first parked message of its key' end, \
        case when n < $3 then 8 else 0 end \
        from generate_series(0, $2 - 1) n";
    sqlx::query(fill).bind(reader).bind(messages).bind(keys).bind(FILLED).execute(pool).await?;
    Ok(())
}
/// The beginning of the keys of messages that [`fill_parked`] has parked.
pub const FILLED: &str = "filled-";

/// Returns the number of messages that [`fill_parked`] has parked and that are still parked.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn filled(pool: &PgPool) -> Result<i64> {
    let count = sqlx::query_scalar("select count(*) from cqrs.parked where starts_with(key, $1)");
    Ok(count.bind(FILLED).fetch_one(pool).await?)
}

/// Returns the number of parked messages of some keys of a reader.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn count_parked(pool: &PgPool, reader: &str, keys: &[&str]) -> Result<i64> {
    let count = sqlx::query_scalar("select count(*) from cqrs.parked where reader = $1 and key = any($2)");
    Ok(count.bind(reader).bind(keys).fetch_one(pool).await?)
}

/// Returns the number of messages that were redelivered.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn redelivered(pool: &PgPool) -> Result<i64> {
    let count = "select count(*) from cqrs.log where name = 'parked.redelivered'";
    Ok(sqlx::query_scalar(count).fetch_one(pool).await?)
}

/// Returns the number of rows of parked messages that were read so far: without an index, and through one. The server counts
/// them with a delay of a second.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn parked_rows_read(pool: &PgPool) -> Result<(i64, i64)> {
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let read = "select t.seq_tup_read::bigint, (select sum(i.idx_tup_read)::bigint from pg_stat_user_indexes i \
        where i.relid = t.relid) from pg_stat_user_tables t where t.relid = 'cqrs.parked'::regclass";
    Ok(sqlx::query_as(read).fetch_one(pool).await?)
}

/// Returns the checkpoint of each relay shard.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn checkpoints(pool: &PgPool) -> Result<BTreeMap<String, i64>> {
    let rows =
        "select reader, checkpoint from cqrs.reader where reader like 'relay/%' and reader not like 'relay/%/waiting%'";
    let rows: Vec<(String, i64)> = sqlx::query_as(rows).fetch_all(pool).await?;
    Ok(rows.into_iter().collect())
}

/// Returns the number of shards with entries that are not yet relayed.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn pending_shards(pool: &PgPool) -> Result<u64> {
    let shards = "select count(*) \
        from (select shard, max(pos) as last from cqrs.log where shard is not null group by shard) l \
        left join cqrs.reader r on r.reader = 'relay/' || l.shard where l.last > coalesce(r.checkpoint, 0)";
    Ok(sqlx::query_scalar::<_, i64>(shards).fetch_one(pool).await? as u64)
}
