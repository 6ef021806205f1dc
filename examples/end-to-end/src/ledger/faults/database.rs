//! Faults of the database: restarted, crashed, backends killed, answers to COMMIT lost.
use crate::ledger::{
    node::{REFUSED, Role},
    stage::Stage,
};
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

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

/// The log can grow no further: the operating system refuses it, as it does when the disk is full. Then the server says so for
/// cursors and for views, whose files do not grow.
pub(in crate::ledger) async fn full_disk(stage: &mut Stage) -> Result<()> {
    let all = [("relay", Role::Relay), ("projection", Role::Projection), ("writer", Role::Writer)];
    for (name, role) in all {
        stage.start(name, role)?;
    }
    let postgres = stage.parts.postgres.clone();
    // Files of the server's own log have this size: at a lower limit it could do nothing at all.
    let (mut size, waiting) = (0, Instant::now());
    while size < 17 << 20 && waiting.elapsed() < Duration::from_secs(60) {
        stage.pass(Duration::from_millis(500)).await;
        size = sqlx::query_scalar::<_, i64>("select pg_relation_size('cqrs.log')").fetch_one(&stage.source_tap).await?;
    }
    ensure!(size >= 17 << 20, "the log has grown to {size} bytes only");
    stage.disturbed();
    postgres.limit_files(Some(size as u64 / PAGE * PAGE + 2 * PAGE + PAGE / 2))?;
    tokio::time::sleep(stage.time(2.0)).await;
    postgres.limit_files(None)?;
    let refused = stage.said("writer").matches("nobody knows").count();
    ensure!(refused > 0, "the log could grow");
    stage.fact("refused", refused as f64);
    stage.pass(Duration::from_secs(2)).await;
    for (tap, table) in [(stage.source_tap.clone(), "reader"), (stage.effects_tap.clone(), "view")] {
        let full = format!(
            "create function full_disk() returns trigger language plpgsql as $$ \
             begin raise exception 'planted: no space left on device' using errcode = '53100'; end $$; \
             create trigger full_disk before insert or update on cqrs.{table} execute function full_disk()"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(full)).execute(&tap).await?;
        stage.disturbed();
        tokio::time::sleep(stage.time(2.0)).await;
        sqlx::raw_sql("drop function full_disk() cascade").execute(&tap).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    Ok(())
}
/// What files of tables grow by.
const PAGE: u64 = 8192;

/// Somebody has changed the log's sequence, so that positions of two sessions would not grow in the order of their commits; somebody
/// has written an event past it, which a reader would pass before its time. Each time the start is refused.
pub(in crate::ledger) async fn by_hand(stage: &mut Stage) -> Result<()> {
    stage.start("relay", Role::Relay)?;
    super::relay::holds_lanes(stage).await?;
    stage.start("writer", Role::Writer)?;
    let time = stage.time(3.0);
    stage.pass(time).await;
    stage.end("writer").await?;
    stage.end("relay").await?;
    let event = "insert into cqrs.log (pos, stream, version, id, name, schema, payload, metadata, at) overriding system value \
        select pos + 1000, 'by-hand', 1, gen_random_uuid(), name, schema, payload, metadata, at from cqrs.log order by pos desc limit 1";
    let (sequence, mended) = ("alter sequence cqrs.log_pos_seq cache 20", "alter sequence cqrs.log_pos_seq cache 1");
    for (done, undone) in [(sequence, mended), (event, "delete from cqrs.log where stream = 'by-hand'")] {
        sqlx::raw_sql(done).execute(&stage.source_tap).await?;
        stage.again("relay", None)?;
        let code = stage.node("relay")?.ended(Duration::from_secs(20)).await?;
        ensure!(code == Some(REFUSED.into()), "a relay starts after `{done}`: {code:?}");
        sqlx::raw_sql(undone).execute(&stage.source_tap).await?;
    }
    stage.again("relay", None)?;
    stage.again("writer", None)?;
    stage.pass(time).await;
    Ok(())
}
