//! Faults of the database: restarted, crashed, backends killed, answers to COMMIT lost.
use crate::ledger::{node::Role, stage::Stage};
use anyhow::Result;
use std::time::Duration;

/// Restarted as an administrator does it, crashed, backends ended one by one, and one killed, after which the server recovers.
pub(in crate::ledger) async fn restarts(stage: &mut Stage) -> Result<()> {
    let all =
        [("relay", Role::Relay), ("projection", Role::Projection), ("writer", Role::Writer), ("reader", Role::Reader)];
    for (name, role) in all {
        stage.start(name, role)?;
    }
    stage.start_with("consumer", Role::Consumer, |it| it.connections = 8)?;
    stage.template.writing.rate = 0;
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
