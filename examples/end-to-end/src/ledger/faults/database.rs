//! Faults of the database: restarted, crashed, backends killed, answers to COMMIT lost.
use crate::ledger::{
    node::{REFUSED, Role},
    stage::Stage,
};
use anyhow::{Result, ensure};
use std::time::Duration;

/// Restarted as an administrator does it, crashed, backends ended one by one, and one killed, after which the server recovers.
pub(in crate::ledger) async fn restarts(stage: &mut Stage) -> Result<()> {
    let all =
        [("relay", Role::Relay), ("projection", Role::Projection), ("writer", Role::Writer), ("reader", Role::Reader)];
    for (name, role) in all {
        stage.start(name, role)?;
    }
    let postgres = stage.parts.postgres.clone();
    let time = stage.time(2.5);
    stage.pass(time).await;
    postgres.restart()?;
    stage.disturbed();
    stage.pass(time).await;
    postgres.stop_immediate()?;
    postgres.start_again()?;
    stage.disturbed();
    stage.pass(time).await;
    for _ in 0..5 {
        let end = "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' \
            and pid <> pg_backend_pid() order by random() limit 2";
        sqlx::query(end).execute(&stage.source_tap).await?;
        stage.disturbed();
        stage.pass(Duration::from_millis(300)).await;
    }
    let victim = "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() \
        order by random() limit 1";
    let victim: i32 = sqlx::query_scalar(victim).fetch_one(&stage.source_tap).await?;
    kill_backend(victim)?;
    stage.disturbed();
    stage.pass(time).await;
    Ok(())
}

/// `kill -9` of a server process: the server ends all others and recovers from its log.
fn kill_backend(id: i32) -> Result<()> {
    use rustix::process::{Pid, Signal, kill_process};
    let id = Pid::from_raw(id).ok_or_else(|| anyhow::anyhow!("not a process: {id}"))?;
    Ok(kill_process(id, Signal::KILL)?)
}

/// The server is told not to wait for the disk, and crashes: what was answered or published may be gone then. Our connections wait.
pub(in crate::ledger) async fn crash_without_sync(stage: &mut Stage) -> Result<()> {
    for setting in ["alter system set synchronous_commit = off", "alter system set wal_writer_delay = '10s'"] {
        sqlx::query(setting).execute(&stage.source_tap).await?;
    }
    sqlx::query("select pg_reload_conf()").execute(&stage.source_tap).await?;
    for (name, role) in [("relay", Role::Relay), ("writer", Role::Writer)] {
        stage.start(name, role)?;
    }
    let postgres = stage.parts.postgres.clone();
    for _ in 0..3 {
        let time = stage.time(3.0);
        stage.pass(time).await;
        postgres.stop_immediate()?;
        postgres.start_again()?;
        stage.disturbed();
    }
    stage.pass(Duration::from_secs(2)).await;
    Ok(())
}

/// The server says that its disk is full, for appends, for cursors and for views, each for a while.
pub(in crate::ledger) async fn full_disk(stage: &mut Stage) -> Result<()> {
    let all = [("relay", Role::Relay), ("projection", Role::Projection), ("writer", Role::Writer)];
    for (name, role) in all {
        stage.start(name, role)?;
    }
    stage.pass(Duration::from_secs(3)).await;
    let full = "create function full_disk() returns trigger language plpgsql as $$ \
        begin raise exception 'planted: no space left on device' using errcode = '53100'; end $$";
    for (tap, table) in [("log", "log"), ("log", "reader"), ("effects", "view")] {
        let tap = if tap == "log" { stage.source_tap.clone() } else { stage.effects_tap.clone() };
        let on =
            format!("create trigger full_disk before insert or update on cqrs.{table} execute function full_disk()");
        let off = format!("drop trigger full_disk on cqrs.{table}");
        let made = sqlx::raw_sql("select 1 from pg_proc where proname = 'full_disk'").fetch_optional(&tap).await?;
        if made.is_none() {
            sqlx::raw_sql(full).execute(&tap).await?;
        }
        sqlx::raw_sql(sqlx::AssertSqlSafe(on)).execute(&tap).await?;
        stage.disturbed();
        tokio::time::sleep(stage.time(2.0)).await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(off)).execute(&tap).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    Ok(())
}

/// Somebody has changed the log's sequence: positions of two sessions would not grow in the order of their commits.
pub(in crate::ledger) async fn changed_sequence(stage: &mut Stage) -> Result<()> {
    stage.start("relay", Role::Relay)?;
    super::relay::holds_lanes(stage).await?;
    stage.end("relay").await?;
    sqlx::raw_sql("alter sequence cqrs.log_pos_seq cache 20").execute(&stage.source_tap).await?;
    stage.again("relay", None)?;
    let code = stage.node("relay")?.ended(Duration::from_secs(20)).await?;
    ensure!(code == Some(REFUSED.into()), "a relay starts on a log with a changed sequence: {code:?}");
    sqlx::raw_sql("alter sequence cqrs.log_pos_seq cache 1").execute(&stage.source_tap).await?;
    stage.again("relay", None)?;
    stage.start("writer", Role::Writer)?;
    let time = stage.time(2.0);
    stage.pass(time).await;
    Ok(())
}
