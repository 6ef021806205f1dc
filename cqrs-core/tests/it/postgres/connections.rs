//! Lost connections: reads recover at once, and a commit is unavailable because its outcome is unknown.
use super::{Batch, Server, Storage, Trials, Tried, events, fresh, row, sleep};
use cqrs_core::{ErrorKind, storage::CommitError, storage::postgres::transaction};
use futures_util::future::{join_all, try_join_all};
use std::time::Duration;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("reads succeed after a restart of the server", reads_go_on)
        .test("at most one commit fails after a restart of the server", one_commit_fails)
        .test("calls are unavailable without a server and succeed when it is back", unavailable)
        .test("a commit whose connection is lost is unavailable", lost)
        .test("a transaction begins on a live connection after a restart of the server", begun)
}

/// Fills the pool with several connections, all used once.
async fn warm(storage: &impl Storage) -> Tried {
    try_join_all((0..8).map(|_| storage.row("user", "kim", None))).await?;
    sleep(100).await;
    Ok(())
}

async fn reads_go_on(server: test_support::Postgres) -> Tried {
    let storage = fresh(&server, "reads").await?.storage;
    storage.commit(Batch { rows: vec![row("kim", 0)], ..events("user/kim", 1..=1) }).await?;
    for _ in 0..2 {
        warm(&storage).await?;
        server.restart()?;
        for _ in 0..12 {
            anyhow::ensure!(storage.row("user", "kim", None).await?.found.version == 1, "the row is lost");
            anyhow::ensure!(storage.high_water_mark().await?.0 >= 1, "the high-water mark went back");
        }
        warm(&storage).await?;
        server.stop_immediate()?;
        server.start_again()?;
        warm(&storage).await?;
    }
    Ok(())
}

async fn one_commit_fails(server: test_support::Postgres) -> Tried {
    let storage = fresh(&server, "commits").await?.storage;
    warm(&storage).await?;
    server.restart()?;
    let mut failed = 0;
    for number in 0..20 {
        match storage.commit(events(&format!("stream-{number}"), 1..=1)).await {
            Ok(_) => {}
            Err(CommitError::Fault(fault)) if fault.kind() == ErrorKind::Unavailable => failed += 1,
            Err(other) => anyhow::bail!("{other}"),
        }
    }
    anyhow::ensure!(failed <= 1, "{failed} commits failed");
    Ok(())
}

async fn unavailable(server: test_support::Postgres) -> Tried {
    let storage = fresh(&server, "unavailable").await?.storage;
    warm(&storage).await?;
    server.stop_fast()?;
    let read = storage.row("user", "kim", None).await.expect_err("no server");
    anyhow::ensure!(read.kind() == ErrorKind::Unavailable, "{read}");
    let marks = join_all((0..20).map(|_| storage.high_water_mark()));
    let marks = tokio::time::timeout(Duration::from_secs(20), marks).await?;
    anyhow::ensure!(marks.iter().all(|mark| mark.as_ref().is_err_and(|fault| fault.is_transient())), "{marks:?}");
    let written = storage.commit(events("one", 1..=1)).await.expect_err("no server");
    anyhow::ensure!(matches!(&written, CommitError::Fault(fault) if fault.is_transient()), "{written}");
    server.start_again()?;
    storage.row("user", "kim", None).await?;
    storage.commit(events("one", 1..=1)).await?;
    Ok(())
}

async fn lost(server: Server) -> Tried {
    let fresh = fresh(server, "the row is lost").await?;
    let mut lock_holder = fresh.plain.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(super::LOCK).execute(&mut *lock_holder).await?;
    let storage = fresh.storage.clone();
    let commit = tokio::spawn(async move { storage.commit(events("one", 1..=1)).await });
    sleep(150).await;
    let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
        where datname = current_database() and wait_event = 'advisory'";
    let killed: i64 = sqlx::query_scalar(kill).fetch_one(&fresh.plain).await?;
    let error = commit.await?.expect_err("the connection was terminated");
    let transient = matches!(&error, CommitError::Fault(fault) if fault.is_transient());
    anyhow::ensure!(killed == 1 && transient, "{killed}: {error}");
    lock_holder.rollback().await?;
    fresh.storage.commit(events("one", 1..=1)).await?;
    Ok(())
}

async fn begun(server: test_support::Postgres) -> Tried {
    let storage = fresh(&server, "begun").await?.storage;
    warm(&storage).await?;
    server.restart()?;
    let mut tx = storage.begin().await?;
    sqlx::query("create table mine (id int)").execute(&mut **transaction(&mut *tx)).await?;
    let before = storage.statements();
    tx.commit(events("one", 1..=1)).await?;
    anyhow::ensure!(storage.statements() - before == 3, "expected three statements: settings, batch, commit");
    Ok(())
}
