//! A reader at the horizon misses nothing; without waiting, or against a writer without the lock, it would.
use super::{Batch, Fresh, LOCK, Server, Storage, Trials, Tried, drawn, event, events, fresh, row, sleep};
use cqrs_core::{
    Position,
    batch::Rejected,
    storage::postgres::{Horizon, Options, Postgres},
};
use sqlx::PgPool;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::task::JoinHandle;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("a fresh log's is 0, then that of the first event", first_event)
        .test("a reader misses nothing beside slow writers", misses_nothing)
        .test("a reader that does not wait misses events", negative_control)
        .test("writers that wait for each other give the same log", serial)
        .test("what was committed before the call is at or below it, however many ask", includes_the_past)
        .test("many callers share a round trip", shared)
        .test("who holds it up is told, with the process to end", blocked)
}

/// How long a race goes on, in milliseconds.
const RUN: u64 = 4000;

/// The oldest of those who write, by the process that ends them.
async fn blocked(server: Server) -> Tried {
    let fresh = fresh(server, "blocked").await?;
    assert_eq!(fresh.storage.vitals().await?.holder, None);
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut tx = fresh.plain.begin().await?;
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *tx).await?;
        sqlx::query("select pg_advisory_xact_lock_shared($1)").bind(LOCK).execute(&mut *tx).await?;
        open.push((pid as u32, tx));
        sleep(20).await;
    }
    let vitals = fresh.storage.vitals().await?;
    let holder = vitals.holder.expect("two hold it up");
    assert_eq!(holder.pid, open[0].0, "the one that came first");
    assert!(!holder.held.is_zero());
    let connections = vitals.connections.expect("PostgreSQL has connections");
    assert!(connections.limit > 0 && connections.used + connections.idle <= connections.limit, "{connections:?}");
    let end = "select pg_terminate_backend($1)";
    sqlx::query(end).bind(holder.pid as i32).execute(&fresh.plain).await?;
    let (second, _tx) = &open[1];
    while fresh.storage.vitals().await?.holder.map(|it| it.pid) != Some(*second) {
        sleep(5).await;
    }
    Ok(())
}

/// Twelve who write events until told to stop: half by the storage (some batches are refused, which costs positions), half
/// with pauses inside an open transaction, before and after they draw a position.
fn writers(fresh: &Fresh, stop: &Arc<AtomicBool>, slow: bool) -> Vec<JoinHandle<Tried>> {
    (0..12)
        .map(|number| {
            let (storage, plain, stop) = (fresh.storage.clone(), fresh.plain.clone(), stop.clone());
            tokio::spawn(async move {
                let stream = format!("stream-{number}");
                let mut version = 0;
                while !stop.load(Ordering::Relaxed) {
                    if slow && number % 2 == 0 {
                        version += u64::from(write_slowly(&plain, &stream, version + 1).await?);
                    } else if fastrand::u8(..4) == 0 {
                        // Refused by the log itself, so that positions are drawn and never used.
                        let batch = Batch { rows: vec![row("taken", 0)], ..events("user-taken", 1..=1) };
                        match storage.commit(batch).await {
                            Err(Rejected::Conflict { what, exists: true }) if what == "user-taken" => {}
                            other => anyhow::bail!("{other:?}"),
                        }
                    } else {
                        let many = fastrand::u64(1..4);
                        storage.commit(events(&stream, version + 1..=version + many)).await?;
                        version += many;
                    }
                }
                Ok(())
            })
        })
        .collect()
}

/// Whether it was committed.
async fn write_slowly(plain: &PgPool, stream: &str, version: u64) -> anyhow::Result<bool> {
    let mut tx = plain.begin().await?;
    sqlx::query("select pg_advisory_xact_lock_shared($1)").bind(LOCK).execute(&mut *tx).await?;
    sleep(fastrand::u64(..6)).await;
    let insert = "insert into cqrs.log (stream, version, id, name, schema, payload, metadata, at) \
        values ($1, $2, $3, 'thing.happened', 1, '', '{}', now())";
    let entry = event(stream, version);
    sqlx::query(insert).bind(stream).bind(version as i64).bind(entry.id).execute(&mut *tx).await?;
    sleep(fastrand::u64(..12)).await;
    let kept = fastrand::u8(..4) > 0;
    if kept {
        tx.commit().await?
    } else {
        tx.rollback().await?
    }
    Ok(kept)
}

/// Follows the log until `stop`, then to its end. Returns what it saw.
async fn follow(fresh: &Fresh, stop: &AtomicBool, waits: bool) -> anyhow::Result<Vec<(String, u64)>> {
    let (mut at, mut seen) = (Position(0), Vec::new());
    loop {
        let last = stop.load(Ordering::Relaxed);
        let upto = if waits { fresh.storage.horizon().await? } else { Position(drawn(&fresh.plain).await? as u64) };
        loop {
            let entries = fresh.storage.log(at, upto, 50).await?;
            anyhow::ensure!(entries.is_sorted_by_key(|it| it.position), "out of order");
            let Some(entry) = entries.last() else { break };
            at = entry.position;
            seen.extend(entries.into_iter().map(|it| (it.stream, it.version)));
        }
        at = upto;
        if last {
            return Ok(seen);
        }
        sleep(fastrand::u64(..5)).await;
    }
}

struct Run {
    seen: usize,
    written: usize,
}

async fn race(fresh: &Fresh, slow: bool, waits: bool) -> anyhow::Result<Run> {
    fresh.storage.commit(events("user-taken", 1..=1)).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let writers = writers(fresh, &stop, slow);
    let done = AtomicBool::new(false);
    let (seen, ended) = tokio::join!(follow(fresh, &done, waits), async {
        sleep(RUN).await;
        stop.store(true, Ordering::Relaxed);
        let ended = futures_util::future::join_all(writers).await;
        // Only now, so that the last round sees all.
        done.store(true, Ordering::Relaxed);
        ended
    });
    ended.into_iter().try_for_each(|it| it?)?;
    let seen = seen?;
    let mut versions = HashMap::new();
    for (stream, version) in &seen {
        let last = versions.insert(stream, *version).unwrap_or(0);
        anyhow::ensure!(!waits || *version == last + 1, "{stream}: {version} after {last}");
    }
    let written: i64 = sqlx::query_scalar("select count(*) from cqrs.log").fetch_one(&fresh.plain).await?;
    Ok(Run { seen: seen.len(), written: written as usize })
}

async fn first_event(server: Server) -> Tried {
    let storage = fresh(server, "first_event").await?.storage;
    anyhow::ensure!(storage.horizon().await? == Position(0), "not 0");
    storage.commit(events("one", 1..=1)).await?;
    anyhow::ensure!(storage.horizon().await? == Position(1), "not 1");
    Ok(())
}

async fn misses_nothing(server: Server) -> Tried {
    let run = race(&fresh(server, "misses_nothing").await?, true, true).await?;
    anyhow::ensure!(run.seen == run.written && run.written > 100, "{} of {}", run.seen, run.written);
    Ok(())
}

async fn negative_control(server: Server) -> Tried {
    let run = race(&fresh(server, "misses_events").await?, true, false).await?;
    anyhow::ensure!(run.seen < run.written, "nothing was missed: the test above proves nothing");
    Ok(())
}

async fn serial(server: Server) -> Tried {
    let mut fresh = fresh(server, "serial").await?;
    let options = Options { horizon: Horizon::Serial, ..Options::default() };
    fresh.storage = Postgres::connect_with(fresh.database.url(), options).await?;
    let run = race(&fresh, false, true).await?;
    anyhow::ensure!(run.seen == run.written && run.written > 100, "{} of {}", run.seen, run.written);
    Ok(())
}

async fn includes_the_past(server: Server) -> Tried {
    let storage = fresh(server, "includes_the_past").await?.storage;
    let tasks = (0..8).map(|number| {
        let storage = storage.clone();
        tokio::spawn(async move {
            for version in 1..=60 {
                let position = storage.commit(events(&format!("stream-{number}"), version..=version)).await?;
                let horizon = storage.horizon().await?;
                anyhow::ensure!(horizon >= position, "{horizon:?} after {position:?}");
            }
            Ok(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }
    Ok(())
}

async fn shared(server: Server) -> Tried {
    let storage = fresh(server, "shared").await?.storage;
    storage.commit(Batch { ..events("one", 1..=1) }).await?;
    let before = storage.statements();
    let all = futures_util::future::try_join_all((0..100).map(|_| storage.horizon())).await?;
    anyhow::ensure!(all.iter().all(|it| *it == Position(1)), "{all:?}");
    let round_trips = storage.statements() - before;
    // One look, and one more for each 2 ms that a lock is still held; alone, each caller would make its own hundred.
    anyhow::ensure!(round_trips <= 20, "{round_trips} round trips");
    Ok(())
}
