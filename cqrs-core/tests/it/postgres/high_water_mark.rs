//! The high-water mark: a reader up to it misses no event, and a reader that does not wait for it does.
use super::{Batch, Fresh, LOCK, Server, Storage, Trials, Tried, drawn, event, events, fresh, row, sleep};
use cqrs_core::{
    Position,
    storage::CommitError,
    storage::postgres::{HighWaterMarkMode, Options, Postgres},
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
        .test("the high-water mark of an empty log is 0, then the position of the first event", first_event)
        .test("a reader misses no event beside slow writers", misses_nothing)
        .test("a reader that does not wait misses events", negative_control)
        .test("serial writers give a complete log", serial)
        .test(
            "a position committed before the call is at or below the high-water mark, also for concurrent callers",
            includes_the_past,
        )
        .test("concurrent callers share a round trip", shared)
        .test("the oldest writer that holds up the high-water mark is reported with its process id", blocked)
}

/// The duration of a race, in milliseconds.
const RUN: u64 = 4000;

/// The oldest writer is reported with the process id that terminates it.
async fn blocked(server: Server) -> Tried {
    let fresh = fresh(server, "blocked").await?;
    assert_eq!(fresh.storage.stats().await?.oldest_writer, None);
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut tx = fresh.plain.begin().await?;
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *tx).await?;
        sqlx::query("select pg_advisory_xact_lock_shared($1)").bind(LOCK).execute(&mut *tx).await?;
        open.push((pid as u32, tx));
        sleep(20).await;
    }
    let stats = fresh.storage.stats().await?;
    let oldest_writer = stats.oldest_writer.expect("two writers hold the mark up");
    assert_eq!(oldest_writer.pid, open[0].0, "the oldest writer is the first one");
    assert!(!oldest_writer.held.is_zero());
    let connections = stats.connections.expect("PostgreSQL has connections");
    assert!(connections.limit > 0 && connections.used + connections.idle <= connections.limit, "{connections:?}");
    let end = "select pg_terminate_backend($1)";
    sqlx::query(end).bind(oldest_writer.pid as i32).execute(&fresh.plain).await?;
    let (second, _tx) = &open[1];
    while fresh.storage.stats().await?.oldest_writer.map(|writer| writer.pid) != Some(*second) {
        sleep(5).await;
    }
    Ok(())
}

/// Starts twelve writers of events that run until `stop`. Half write through the storage, where some batches are
/// refused and so use up positions; half pause inside an open transaction, before and after they draw a position.
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
                        // The log itself refuses the batch, so that positions are drawn and never used.
                        let batch = Batch { rows: vec![row("taken", 0)], ..events("user/taken", 1..=1) };
                        match storage.commit(batch).await {
                            Err(CommitError::Conflict { what, exists: true, .. }) if what == "user/taken" => {}
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

/// Writes one event with pauses, and returns whether it was committed.
async fn write_slowly(plain: &PgPool, stream: &str, version: u64) -> anyhow::Result<bool> {
    let mut tx = plain.begin().await?;
    sqlx::query("select pg_advisory_xact_lock_shared($1)").bind(LOCK).execute(&mut *tx).await?;
    sleep(fastrand::u64(..6)).await;
    let insert = "insert into cqrs.log (stream, version, id, name, schema, payload, metadata, occurred_at) \
        values ($1, $2, $3, 'thing.happened', 1, '', '{}', now())";
    let entry = event(stream, version);
    sqlx::query(insert).bind(stream).bind(version as i64).bind(entry.id).execute(&mut *tx).await?;
    sleep(fastrand::u64(..12)).await;
    let committed = fastrand::u8(..4) > 0;
    if committed {
        tx.commit().await?
    } else {
        tx.rollback().await?
    }
    Ok(committed)
}

/// Follows the log until `stop`, then to its end, and returns the streams and versions read.
async fn follow(fresh: &Fresh, stop: &AtomicBool, waits: bool) -> anyhow::Result<Vec<(String, u64)>> {
    let (mut at, mut seen) = (Position(0), Vec::new());
    loop {
        let last = stop.load(Ordering::Relaxed);
        let upto =
            if waits { fresh.storage.high_water_mark().await? } else { Position(drawn(&fresh.plain).await? as u64) };
        loop {
            let entries = fresh.storage.log(at, upto, cqrs_core::storage::ReadLimit::entries(50)).await?;
            anyhow::ensure!(entries.is_sorted_by_key(|entry| entry.position), "out of order");
            let Some(entry) = entries.last() else { break };
            at = entry.position;
            seen.extend(entries.into_iter().map(|entry| (entry.stream, entry.version)));
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
    fresh.storage.commit(events("user/taken", 1..=1)).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let writers = writers(fresh, &stop, slow);
    let done = AtomicBool::new(false);
    let (seen, ended) = tokio::join!(follow(fresh, &done, waits), async {
        sleep(RUN).await;
        stop.store(true, Ordering::Relaxed);
        let ended = futures_util::future::join_all(writers).await;
        // Set only now, so that the last round reads every event.
        done.store(true, Ordering::Relaxed);
        ended
    });
    ended.into_iter().try_for_each(|writer| writer?)?;
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
    anyhow::ensure!(storage.high_water_mark().await? == Position(0), "not 0");
    storage.commit(events("one", 1..=1)).await?;
    anyhow::ensure!(storage.high_water_mark().await? == Position(1), "not 1");
    Ok(())
}

async fn misses_nothing(server: Server) -> Tried {
    let run = race(&fresh(server, "misses_nothing").await?, true, true).await?;
    anyhow::ensure!(run.seen == run.written && run.written > 100, "{} of {}", run.seen, run.written);
    Ok(())
}

async fn negative_control(server: Server) -> Tried {
    let run = race(&fresh(server, "misses_events").await?, true, false).await?;
    anyhow::ensure!(run.seen < run.written, "no event was missed, so the test `misses_nothing` proves nothing");
    Ok(())
}

async fn serial(server: Server) -> Tried {
    let mut fresh = fresh(server, "serial").await?;
    let mut options = Options::default();
    options.high_water_mark = HighWaterMarkMode::Serial;
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
                let high_water_mark = storage.high_water_mark().await?;
                anyhow::ensure!(high_water_mark >= position, "{high_water_mark:?} after {position:?}");
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
    let all = futures_util::future::try_join_all((0..100).map(|_| storage.high_water_mark())).await?;
    anyhow::ensure!(all.iter().all(|mark| *mark == Position(1)), "{all:?}");
    let round_trips = storage.statements() - before;
    // The others call while the query of the first one runs, which may miss commits before their calls. They share one.
    anyhow::ensure!(round_trips == 2, "{round_trips} round trips");
    Ok(())
}
