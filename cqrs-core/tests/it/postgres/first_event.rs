//! The first event of a new reader, beside transactions that are open when the reader begins.
use super::{LOCK, Server, Trials, Tried, sleep};
use crate::{
    bank::{AccountEvent, opened, paid_in},
    first_event::{Received, at_empty_log, begins_now, newer, older},
    listener::lock,
};
use cqrs_core::{
    Position,
    storage::{ReadLimit, postgres::Postgres},
    testing::TestApp,
};
use sqlx::PgPool;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};
use test_support::Database;
use uuid::Uuid;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("a new reader begins with the next event, and its place outlasts the process", next_event)
        .test("a reader that begins at an empty log misses no event", empty)
        .test("beside slow writers, two replicas begin after the committed events, and miss nothing", beside_writers)
}

async fn storage(database: &Database) -> anyhow::Result<Postgres> {
    Ok(Postgres::connect(database.url()).await?)
}
async fn next_event(server: Server) -> Tried {
    begins_now(storage(&server.create_database("first_event_next")?).await?).await;
    Ok(())
}
async fn empty(server: Server) -> Tried {
    at_empty_log(storage(&server.create_database("first_event_empty")?).await?).await;
    Ok(())
}

/// Appends an event in a transaction that stays open for a while after it has drawn its position.
async fn append_slowly(plain: &PgPool, stream: &str, version: i64, event: &AccountEvent) -> Tried {
    let mut tx = plain.begin().await?;
    sqlx::query("select pg_advisory_xact_lock_shared($1)").bind(LOCK).execute(&mut *tx).await?;
    let name = if version == 1 { "account.opened" } else { "account.paid" };
    let insert = "insert into cqrs.log (stream, version, id, name, schema, payload, metadata, occurred_at) \
        values ($1, $2, $3, $4, 1, $5, '{}', now())";
    let insert = sqlx::query(insert).bind(stream).bind(version).bind(Uuid::now_v7()).bind(name);
    insert.bind(serde_json::to_vec(event)?).execute(&mut *tx).await?;
    sleep(fastrand::u64(..40)).await;
    Ok(tx.commit().await?)
}

async fn beside_writers(server: Server) -> Tried {
    let database = server.create_database("first_event_beside_writers")?;
    let (old, plain) = (older(storage(&database).await?), PgPool::connect_lazy(database.url())?);
    old.migrate().await?;
    let stop = Arc::new(AtomicBool::new(false));
    // The amounts whose append has begun, and those that are committed.
    let (begun, done) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let mut writers = Vec::new();
    for number in 0..6 {
        let (old, plain, stop, begun, done) = (old.clone(), plain.clone(), stop.clone(), begun.clone(), done.clone());
        writers.push(tokio::spawn(async move {
            let (id, is_slow) = (format!("a{number}"), number % 2 == 0);
            let stream = format!("account/{id}");
            match is_slow {
                true => append_slowly(&plain, &stream, 1, &AccountEvent::Opened { name: id.clone() }).await?,
                false => opened(&old, &id).await,
            }
            for version in 2.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let amount = number * 100_000 + version;
                lock(&begun).push(amount);
                match is_slow {
                    true => append_slowly(&plain, &stream, version, &AccountEvent::Paid { amount }).await?,
                    false => drop(paid_in(&old, &id, amount).await),
                }
                lock(&done).push(amount);
                sleep(fastrand::u64(..10)).await;
            }
            anyhow::Ok(())
        }));
    }
    while lock(&done).len() < 100 {
        sleep(10).await;
    }
    // The processes of the first starts end before they handle an event.
    let received = Arc::new(Received::default());
    let first = newer(storage(&database).await?, &received).build()?;
    let second = newer(storage(&database).await?, &received).build()?;
    let before = lock(&done).clone();
    let (one, other) = tokio::join!(first.migrate(), second.migrate());
    one.and(other)?;
    let known = lock(&begun).clone();
    let target = lock(&done).len() + 100;
    while lock(&done).len() < target {
        sleep(10).await;
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await??;
    }
    let app = TestApp::start(newer(storage(&database).await?, &received)).await.map_err(anyhow::Error::from_boxed)?;
    app.settle().await;
    assert!(app.stop().await);

    let received = lock(&received).clone();
    let upto = old.storage().high_water_mark().await?;
    let log = old.storage().log(Position(0), upto, ReadLimit::entries(100_000)).await?;
    let paid = log.iter().filter(|entry| entry.name == "account.paid");
    let paid = paid.map(|entry| match serde_json::from_slice(&entry.payload) {
        Ok(AccountEvent::Paid { amount }) => Ok(amount),
        other => anyhow::bail!("not a payment: {other:?}"),
    });
    let paid = paid.collect::<anyhow::Result<Vec<i64>>>()?;
    assert!(paid.ends_with(&received), "an event is missing or out of order: {received:?} of {paid:?}");
    let early: Vec<_> = received.iter().filter(|amount| before.contains(amount)).collect();
    assert!(early.is_empty(), "committed before the start: {early:?}");
    let lost: Vec<_> =
        lock(&begun).iter().filter(|amount| !known.contains(amount) && !received.contains(amount)).copied().collect();
    assert!(lost.is_empty(), "begun after the start and not received: {lost:?}");
    assert!(received.len() >= 50, "too few events: {}", received.len());
    Ok(())
}
