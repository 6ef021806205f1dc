//! The databases after all flows: everything that belongs together is there once.
use super::fixture::{COUNSELING, Fixture, USERS, eventually};
use anyhow::{Context, Result, ensure};
use sqlx::PgPool;
use std::collections::BTreeSet;

/// The ids of the aggregates of a kind.
const IDS: &str = "select id from cqrs.state where kind = $1 and value is not null order by id";
/// The aggregates with an event of this name.
const STREAMS: &str = "select stream from cqrs.log where name = $1 order by stream";

/// Checks the databases of both services. Messages between the services may still be on their way.
pub(crate) async fn hold(fixture: &Fixture) -> Result<()> {
    let users = PgPool::connect(&fixture.database(USERS).await?).await?;
    let counseling = PgPool::connect(&fixture.database(COUNSELING).await?).await?;

    let persons = ids(&users, "user").await?;
    ensure!(persons.len() > 10, "too few persons were found: {persons:?}");
    for kind in ["auth-user", "wallet"] {
        ensure!(ids(&users, kind).await? == persons, "each person has one {kind}");
    }
    let linked = once(streams(&users, "auth-user.linked").await?, "a person was linked twice")?;
    let accounts = "select value from cqrs.reservation where name = 'auth-user.account' order by value";
    let accounts: Vec<String> = sqlx::query_scalar(accounts).fetch_all(&users).await?;
    ensure!(linked.len() == accounts.len(), "each account belongs to one person: {linked:?} {accounts:?}");

    let started = once(streams(&counseling, "exchange.started").await?, "an exchange was started twice")?;
    let replied = once(streams(&counseling, "exchange.replied").await?, "an exchange was answered twice")?;
    ensure!(started == replied && replied.len() > 5, "each message has its reply: {started:?} {replied:?}");
    let paid = async || Ok(ids(&users, "paid-exchange").await?.into_iter().collect::<BTreeSet<_>>());
    let exchanges: BTreeSet<_> = replied.iter().map(|stream| id_of(stream)).collect::<Result<_>>()?;
    eventually(paid, |paid| *paid == exchanges).await.context("each exchange is paid once")?;

    for (service, pool) in [(USERS, &users), (COUNSELING, &counseling)] {
        let parked: i64 = sqlx::query_scalar("select count(*) from cqrs.parked").fetch_one(pool).await?;
        ensure!(parked == 0, "{service} has parked {parked} messages");
    }
    Ok(())
}

async fn ids(pool: &PgPool, kind: &str) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(IDS).bind(kind).fetch_all(pool).await?)
}
async fn streams(pool: &PgPool, event: &str) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(STREAMS).bind(event).fetch_all(pool).await?)
}
/// Returns the streams, of which each may occur once.
fn once(streams: Vec<String>, failure: &str) -> Result<BTreeSet<String>> {
    let all = streams.iter().cloned().collect::<BTreeSet<_>>();
    ensure!(all.len() == streams.len(), "{failure}: {streams:?}");
    Ok(all)
}
/// Returns the id of the aggregate with this stream.
fn id_of(stream: &str) -> Result<String> {
    Ok(stream.split_once('/').with_context(|| format!("no id: {stream}"))?.1.to_owned())
}
