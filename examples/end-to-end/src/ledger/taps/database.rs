//! What the databases hold, by SQL.
use crate::ledger::{
    account::Credited,
    check::Posting,
    mirror::{Applied, GROUP},
    tally::{Tally, VIEW},
};
use anyhow::{Context, Result};
use sqlx::{PgPool, postgres::PgPoolOptions};
use std::{collections::BTreeMap, time::Duration};

/// Connects, lazily: the server may be down just now.
///
/// # Errors
/// When it is no URL.
pub fn open(url: &str) -> Result<PgPool> {
    let options = PgPoolOptions::new().max_connections(3).acquire_timeout(Duration::from_secs(5));
    Ok(options.connect_lazy(url)?)
}

async fn payloads(pool: &PgPool) -> Result<Vec<(i64, Vec<u8>)>> {
    Ok(sqlx::query_as("select pos, payload from cqrs.log order by pos").fetch_all(pool).await?)
}

/// The log.
///
/// # Errors
/// When it cannot be read.
pub async fn log(pool: &PgPool) -> Result<Vec<Posting>> {
    let read = |(at, payload): (i64, Vec<u8>)| {
        Ok(serde_json::from_slice::<Credited>(&payload).context("not a credit")?.posting(at as u64))
    };
    payloads(pool).await?.into_iter().map(read).collect()
}

/// What the subscriber applied, in the order of its commits.
///
/// # Errors
/// When it cannot be read.
pub async fn applied(pool: &PgPool) -> Result<Vec<Posting>> {
    let read = |(at, payload): (i64, Vec<u8>)| {
        Ok(serde_json::from_slice::<Applied>(&payload).context("not a mirrored credit")?.posting(at as u64))
    };
    payloads(pool).await?.into_iter().map(read).collect()
}

/// What the projection has.
///
/// # Errors
/// When it cannot be read.
pub async fn tallies(pool: &PgPool) -> Result<BTreeMap<String, Tally>> {
    let rows = sqlx::query_as::<_, (String, Vec<u8>)>("select key, value from cqrs.view where view = $1");
    let rows = rows.bind(VIEW).fetch_all(pool).await?;
    rows.into_iter().map(|(key, value)| Ok((key, serde_json::from_slice(&value)?))).collect()
}

/// How many messages the subscriber has marked as handled.
///
/// # Errors
/// When it cannot be read.
pub async fn marks(pool: &PgPool) -> Result<u64> {
    let marks = sqlx::query_scalar::<_, i64>("select count(*) from cqrs.inbox where grp = $1").bind(GROUP);
    Ok(marks.fetch_one(pool).await? as u64)
}

/// What a connection does that has been at it for longer than a second, if there is one.
///
/// # Errors
/// When it cannot be asked.
pub async fn kept_connection(pool: &PgPool) -> Result<Option<String>> {
    let kept = "select state || ' since ' || state_change || ': ' || query from pg_stat_activity \
        where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid() \
        and state <> 'idle' and state_change < clock_timestamp() - interval '1 second' limit 1";
    Ok(sqlx::query_scalar(kept).fetch_optional(pool).await?)
}

/// How many entries the log has.
///
/// # Errors
/// When it cannot be read.
pub async fn count(pool: &PgPool) -> Result<u64> {
    Ok(sqlx::query_scalar::<_, i64>("select count(*) from cqrs.log").fetch_one(pool).await? as u64)
}

/// Where each lane's cursor is.
///
/// # Errors
/// When it cannot be read.
pub async fn cursors(pool: &PgPool) -> Result<BTreeMap<String, i64>> {
    let rows = "select reader, at from cqrs.reader where reader like 'relay/%'";
    let rows: Vec<(String, i64)> = sqlx::query_as(rows).fetch_all(pool).await?;
    Ok(rows.into_iter().collect())
}

/// How many lanes have something to relay.
///
/// # Errors
/// When it cannot be read.
pub async fn behind(pool: &PgPool) -> Result<u64> {
    let lanes = "select count(*) from (select lane, max(pos) as last from cqrs.log where lane is not null group by lane) l \
        left join cqrs.reader r on r.reader = 'relay/' || l.lane where l.last > coalesce(r.at, 0)";
    Ok(sqlx::query_scalar::<_, i64>(lanes).fetch_one(pool).await? as u64)
}
