//! Reads the effects of alarms, and the progress of orders, by SQL.
use crate::fault_suite::{
    account::account_of,
    alarms::Rung,
    check::{Instance, Moved, Ring},
};
use anyhow::{Context, Result};
use serde_json::Value;
use sqlx::PgPool;
use std::collections::BTreeMap;

/// Returns the rings of all bells, in the order of their commits.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn rung(pool: &PgPool) -> Result<Vec<Ring>> {
    let rings = "select stream, payload from cqrs.log where name = 'bell.rung' order by pos";
    let rings: Vec<(String, Vec<u8>)> = sqlx::query_as(rings).fetch_all(pool).await?;
    let ring = |(stream, payload): (String, Vec<u8>)| {
        let rung: Rung = serde_json::from_slice(&payload).context("not a ring of a bell")?;
        Ok(Ring { bell: account_of(&stream)?, number: rung.number })
    };
    rings.into_iter().map(ring).collect()
}

/// Returns the names of all timers, with whether each is due.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn timers(pool: &PgPool) -> Result<BTreeMap<String, bool>> {
    let timers = "select name, due <= clock_timestamp() from cqrs.timer";
    let timers: Vec<(String, bool)> = sqlx::query_as(timers).fetch_all(pool).await?;
    Ok(timers.into_iter().collect())
}

/// Returns the number of timers that are due, or will be within a minute.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn count_due_soon(pool: &PgPool) -> Result<i64> {
    let due = "select count(*) from cqrs.timer where due <= clock_timestamp() + interval '1 minute'";
    Ok(sqlx::query_scalar(due).fetch_one(pool).await?)
}

/// Returns the number of entries of a log, as a measure of its progress.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn count_log(pool: &PgPool) -> Result<i64> {
    Ok(sqlx::query_scalar("select count(*) from cqrs.log").fetch_one(pool).await?)
}

/// Returns the order and the name of each event of an order, in the order of the log.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn order_events(pool: &PgPool) -> Result<Vec<(String, String)>> {
    let events = "select stream, name from cqrs.log where starts_with(stream, 'order/') order by pos";
    let events: Vec<(String, String)> = sqlx::query_as(events).fetch_all(pool).await?;
    events.into_iter().map(|(stream, name)| Ok((account_of(&stream)?, name))).collect()
}

/// Returns the events with which the process manager notes its reactions, in the order of the log.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn moved(pool: &PgPool) -> Result<Vec<Moved>> {
    let moved = "select payload from cqrs.log where name = 'process.moved' order by pos";
    let moved: Vec<Vec<u8>> = sqlx::query_scalar(moved).fetch_all(pool).await?;
    moved.into_iter().map(|payload| serde_json::from_slice(&payload).context("not a reaction")).collect()
}

/// Returns the instances of the process manager by their keys.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn instances(pool: &PgPool) -> Result<BTreeMap<String, Instance>> {
    let rows = "select id, value from cqrs.state where kind = 'process:orders.fulfilment'";
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(rows).fetch_all(pool).await?;
    rows.into_iter().map(|(key, value)| Ok((key, serde_json::from_slice(&value).context("not an instance")?))).collect()
}

/// Returns the order and the name of each event about the goods of an order, in the order of the log.
///
/// # Errors
/// Fails when the database cannot be read.
pub async fn stock(pool: &PgPool) -> Result<Vec<(String, String)>> {
    let events = "select name, payload from cqrs.log \
        where name in ('stock.reserved', 'stock.sold_out', 'stock.released') order by pos";
    let events: Vec<(String, Vec<u8>)> = sqlx::query_as(events).fetch_all(pool).await?;
    let read = |(name, payload): (String, Vec<u8>)| {
        let event: Value = serde_json::from_slice(&payload).context("not an event of a stock")?;
        // The fields are within the variant.
        let fields = event.as_object().and_then(|variants| variants.values().next());
        let order = fields.and_then(|fields| fields["order"].as_str()).context("an event without an order")?;
        Ok((order.to_owned(), name))
    };
    events.into_iter().map(read).collect()
}
