//! Batches with reads: they wait for each other in one order, and read what was committed while they waited.
use super::{Server, Trials, Tried, event, events, fresh, row, sleep};
use cqrs_core::storage::{Batch, CommitError, ReadVersion, Reservation, Storage};
use futures_util::future::join_all;
use std::time::Duration;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("a rule over two aggregates holds", async |server: Server| {
            let storage = fresh(server, "rule_over_two").await?.storage;
            crate::reads::on(move || storage.clone()).await;
            anyhow::Ok(())
        })
        .test(
            "a batch waits for another one that writes an aggregate of its reads, and is refused then",
            async |server: Server| {
                let (first, second) = crossing(server, "crossing", "select 1").await?;
                anyhow::ensure!(first.is_ok(), "{first:?}");
                anyhow::ensure!(
                    matches!(&second, Err(CommitError::Conflict { what, .. }) if what == "user/a"),
                    "{second:?}"
                );
                anyhow::Ok(())
            },
        )
        .test("seeded: without the locks both of two crossing batches are committed", async |server: Server| {
            let without = "create or replace function cqrs.lock_and_compare(slots int[], written boolean[], \
                kinds text[], ids text[], streams text[], versions bigint[]) returns bigint[] language sql volatile as \
                'select array_agg(o) from unnest(slots) with ordinality u(slot, o)'";
            let (first, second) = crossing(server, "crossing_without", without).await?;
            anyhow::ensure!(first.is_ok() && second.is_ok(), "{first:?}, {second:?}");
            anyhow::Ok(())
        })
        .within(Duration::from_secs(120))
        .test("many concurrent batches with reads meet no deadlock, and no rule is broken", no_deadlock)
        .test("a commit with reads is one round trip, and one more looks up who won", round_trips)
}

fn read(id: &str, version: u64, is_row: bool) -> ReadVersion {
    ReadVersion { kind: "user", id: id.into(), version, is_row }
}

type Committed = Result<cqrs_core::Position, CommitError>;
/// Commits a batch that reads b and writes a, and while it waits for a reservation one that reads a and writes b.
async fn crossing(server: Server, name: &str, before: &'static str) -> anyhow::Result<(Committed, Committed)> {
    let fresh = fresh(server, name).await?;
    sqlx::raw_sql(before).execute(&fresh.plain).await?;
    fresh.storage.commit(Batch { rows: vec![row("a", 0), row("b", 0)], ..Batch::default() }).await?;
    let mut holder = fresh.plain.begin().await?;
    sqlx::raw_sql("insert into cqrs.reservation values ('nickname', 'kim', 'rival')").execute(&mut *holder).await?;
    let reservation = Reservation { index: "nickname".into(), value: "kim".into(), owner: "a".into(), taken: true };
    let first = Batch {
        reads: vec![read("b", 1, true)],
        rows: vec![row("a", 1)],
        reservations: vec![reservation],
        ..Batch::default()
    };
    let second = Batch { reads: vec![read("a", 1, true)], rows: vec![row("b", 1)], ..Batch::default() };
    let commit = |batch| {
        let storage = fresh.storage.clone();
        tokio::spawn(async move { storage.commit(batch).await })
    };
    let first = commit(first);
    sleep(150).await;
    let second = commit(second);
    sleep(150).await;
    holder.rollback().await?;
    Ok((first.await?, second.await?))
}

/// Of five switches at least one must be on: each batch reads the four others and turns its own off, or turns it on.
async fn no_deadlock(server: Server) -> Tried {
    let fresh = fresh(server, "no_deadlock").await?;
    let ids = ["a", "b", "c", "d", "e"];
    let start = ids.iter().map(|id| switch(id, 0, true)).collect();
    fresh.storage.commit(Batch { rows: start, ..Batch::default() }).await?;
    let writers = (0..8_u64).map(|writer| {
        let storage = fresh.storage.clone();
        tokio::spawn(async move {
            let (mut random, mut committed) = (fastrand::Rng::with_seed(writer), 0);
            for _ in 0..150 {
                let mut found = Vec::new();
                for id in ids {
                    found.push(storage.row("user", id, None).await?.found);
                }
                let own = random.usize(..ids.len());
                let is_on = |index: usize| found[index].state.as_deref() == Some(b"on");
                let others_on = (0..ids.len()).any(|index| index != own && is_on(index));
                if is_on(own) && !others_on {
                    continue;
                }
                let reads = (0..ids.len()).filter(|index| *index != own);
                let batch = Batch {
                    reads: reads.map(|index| read(ids[index], found[index].version, true)).collect(),
                    rows: vec![switch(ids[own], found[own].version, !is_on(own))],
                    events: vec![event(&format!("user/{}", ids[own]), found[own].version)],
                    ..Batch::default()
                };
                match storage.commit(batch).await {
                    Ok(_) => committed += 1,
                    Err(CommitError::Conflict { .. }) => {}
                    Err(other) => anyhow::bail!("{other:?}"),
                }
            }
            Ok(committed)
        })
    });
    let mut committed = 0;
    for writer in join_all(writers).await {
        committed += writer??;
    }
    anyhow::ensure!(committed > 50, "only {committed} batches were committed");
    let on: i64 =
        sqlx::query_scalar("select count(*) from cqrs.state where value = 'on'::bytea").fetch_one(&fresh.plain).await?;
    anyhow::ensure!(on > 0, "all switches are off");
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    let deadlocks: i64 = sqlx::query_scalar(deadlocks).fetch_one(&fresh.plain).await?;
    anyhow::ensure!(deadlocks == 0, "{deadlocks} deadlocks");
    Ok(())
}
fn switch(id: &str, expected: u64, is_on: bool) -> cqrs_core::storage::Row {
    let state = Some(if is_on { b"on".to_vec() } else { b"off".to_vec() });
    cqrs_core::storage::Row { state, ..row(id, expected) }
}

async fn round_trips(server: Server) -> Tried {
    let storage = fresh(server, "reads_round_trips").await?.storage;
    storage.commit(Batch { rows: vec![row("a", 0)], ..events("user/b", 1..=1) }).await?;
    let batch = |version, number| Batch {
        reads: vec![read("a", version, true), read("b", 1, false), read("nobody", 0, true), read("none", 0, false)],
        ..events(&format!("user/{number}"), 1..=1)
    };
    let before = storage.statements();
    storage.commit(batch(1, 1)).await?;
    anyhow::ensure!(storage.statements() - before == 1, "{} round trips", storage.statements() - before);
    let before = storage.statements();
    let refused = storage.commit(batch(7, 2)).await;
    anyhow::ensure!(matches!(&refused, Err(CommitError::Conflict { what, .. }) if what == "user/a"), "{refused:?}");
    anyhow::ensure!(storage.statements() - before == 2, "{} round trips", storage.statements() - before);
    Ok(())
}
