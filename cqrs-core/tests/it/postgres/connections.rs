//! Lost connections: reads recover at once, and the outcome of a commit is unknown.
use super::{Batch, Server, Storage, Trials, Tried, events, fresh, row, sleep};
use cqrs_core::{
    ErrorKind,
    storage::CommitError,
    storage::postgres::{Config, Options, Postgres, transaction},
};
use futures_util::future::{join_all, try_join_all};
use sqlx::AssertSqlSafe;
use std::time::{Duration, Instant};
use test_support::Proxy;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("reads succeed after a restart of the server", reads_go_on)
        .test("at most one commit fails after a restart of the server", one_commit_fails)
        .test("calls are unavailable without a server and succeed when it is back", unavailable)
        .test("a commit whose connection is lost has an unknown outcome", lost)
        .test("calls to a server that does not respond end at the time limit, and free their connections", swallowed)
        .test(
            "transactions on a server that does not respond end at the time limit, and free their connections",
            silent,
        )
        .test("after a time in which the server refused writes, at most one commit fails", read_only)
        .test("readiness does not wait for the connections of requests", readiness)
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
            Err(CommitError::Fault(fault)) if fault.is_transient() => failed += 1,
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

/// Connects with a pool of one connection and a short time limit.
async fn with_one_connection(url: &str) -> anyhow::Result<Postgres> {
    let mut config = Config::parse(url)?;
    config.statement_timeout = Duration::from_millis(100);
    let mut options = Options::default();
    options.max_connections = 1;
    options.acquire_timeout = Duration::from_secs(10);
    Ok(Postgres::open(&config, options).await?)
}

async fn swallowed(server: Server) -> Tried {
    let fresh = fresh(server, "swallowed").await?;
    let proxy = Proxy::to(server.address()).await?;
    let storage = with_one_connection(&server.url_through(&proxy, &fresh.database)).await?;
    storage.commit(events("before", 1..=1)).await?;
    storage.ready().await?;
    proxy.blackhole(true);
    let committed = storage.commit(events("one", 1..=1)).await.expect_err("no response");
    anyhow::ensure!(matches!(&committed, CommitError::Fault(fault) if fault.is_transient()), "{committed}");
    // A caller that stops to wait leaves a connection behind. The pool waits for it as long as for a call.
    proxy.blackhole(false);
    storage.row("user", "kim", None).await?;
    proxy.blackhole(true);
    tokio::select! { _ = storage.commit(events("two", 1..=1)) => {}, () = sleep(50) => {} }
    let read = storage.clone();
    let read = tokio::spawn(async move { read.row("user", "kim", None).await });
    let ready = storage.ready().await.expect_err("no response");
    anyhow::ensure!(ready.kind() == ErrorKind::Unavailable, "{ready}");
    anyhow::ensure!(read.await?.is_err_and(|fault| fault.is_transient()), "a read without a server");
    proxy.blackhole(false);
    storage.commit(events("three", 1..=1)).await?;
    storage.ready().await?;
    Ok(())
}

async fn silent(server: Server) -> Tried {
    let fresh = fresh(server, "silent").await?;
    let proxy = Proxy::to(server.address()).await?;
    let storage = with_one_connection(&server.url_through(&proxy, &fresh.database)).await?;
    for what in ["a commit", "a dropped statement", "a beginning"] {
        storage.row("user", "kim", None).await?;
        sleep(50).await; // the connection is back in the pool
        let tx = if what == "a beginning" { None } else { Some(storage.begin().await?) };
        proxy.blackhole(true);
        let began = Instant::now();
        match (what, tx) {
            ("a commit", Some(tx)) => {
                let refused = tx.commit(events("one", 1..=1)).await.expect_err("no response");
                anyhow::ensure!(matches!(&refused, CommitError::Fault(fault) if fault.is_transient()), "{refused}");
            }
            (_, Some(mut tx)) => {
                let statement = sqlx::raw_sql("select 1").execute(&mut **transaction(&mut *tx));
                let ended = tokio::time::timeout(Duration::from_millis(200), statement).await;
                anyhow::ensure!(ended.is_err(), "a statement without a server");
                drop(tx);
            }
            (_, None) => {
                let refused = storage.begin().await.err().expect("no response");
                anyhow::ensure!(refused.is_transient(), "{refused}");
            }
        }
        // The limit is 3.1 s for the call, and as long again for the return of the connection.
        while format!("{storage:?}") != "Postgres(0 connections)" {
            anyhow::ensure!(began.elapsed() < Duration::from_secs(9), "{what}: the connection is still in the pool");
            sleep(20).await;
        }
        proxy.blackhole(false);
    }
    storage.commit(events("three", 1..=1)).await?;
    // The server has begun the transaction, and the answer comes when nobody waits for it any more.
    let cancelled = async |limit: u64| {
        sleep(50).await;
        proxy.blackhole(true);
        tokio::select! { _ = storage.begin() => {}, () = sleep(limit) => {} }
        proxy.blackhole(false);
        storage.commit(events(&format!("late-{limit}"), 1..=1)).await?;
        let stored = sqlx::query_scalar::<_, i64>("select count(*) from cqrs.log where stream like '%late%'");
        anyhow::Ok(stored.fetch_one(&fresh.plain).await?)
    };
    for (limit, stored) in [(4_000, 1), (100, 2)] {
        anyhow::ensure!(
            cancelled(limit).await? == stored,
            "the commit was a part of the transaction that nobody has ended"
        );
    }
    Ok(())
}

async fn read_only(server: Server) -> Tried {
    let fresh = fresh(server, "read_only").await?;
    warm(&fresh.storage).await?;
    let switch = |to: &'static str| {
        let (name, plain) = (fresh.database.name(), fresh.plain.clone());
        let alter = format!("alter database {name} set default_transaction_read_only = {to}");
        let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
            where datname = current_database() and pid <> pg_backend_pid()";
        async move {
            let mut session = plain.acquire().await?;
            sqlx::raw_sql("set default_transaction_read_only = off").execute(&mut *session).await?;
            sqlx::raw_sql(AssertSqlSafe(alter)).execute(&mut *session).await?;
            if to == "on" {
                sqlx::raw_sql(end).execute(&mut *session).await?;
            }
            anyhow::Ok(())
        }
    };
    fresh.storage.ready().await?;
    switch("on").await?;
    warm(&fresh.storage).await?; // connections that refuse writes
    for number in 0..3 {
        let refused = fresh.storage.commit(events(&format!("refused-{number}"), 1..=1)).await.expect_err("read only");
        anyhow::ensure!(matches!(&refused, CommitError::Fault(fault) if fault.is_transient()), "{refused}");
    }
    let ready = fresh.storage.ready().await.expect_err("read only");
    anyhow::ensure!(ready.kind() == ErrorKind::Unavailable, "{ready}");
    warm(&fresh.storage).await?;
    switch("off").await?;
    fresh.storage.ready().await?;
    let mut failed = 0;
    for number in 0..20 {
        failed += u32::from(fresh.storage.commit(events(&format!("stream-{number}"), 1..=1)).await.is_err());
    }
    anyhow::ensure!(failed <= 1, "{failed} commits failed");
    Ok(())
}

async fn readiness(server: Server) -> Tried {
    let fresh = fresh(server, "readiness").await?;
    let storage = with_one_connection(fresh.database.url()).await?;
    let tx = storage.begin().await?;
    storage.ready().await?;
    drop(tx);
    storage.close().await;
    anyhow::ensure!(storage.ready().await.is_err(), "a closed database is ready");
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
