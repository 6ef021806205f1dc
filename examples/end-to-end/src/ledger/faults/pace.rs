//! Who is slow, and who goes on: one slow account, a small pool, an append that takes its time, commands that are dropped.
use super::consumer::GENTLE;
use crate::ledger::{
    node::{Role, Temper},
    stage::Stage,
};
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// The handler is stuck with one account until all others are done: a slow one, without a clock. Nobody has left the group by then,
/// and memory is what it was.
pub(in crate::ledger) async fn one_slow_key(stage: &mut Stage) -> Result<()> {
    stage.start("relay", Role::Relay)?;
    let gate = stage.template.folder.join("gate");
    std::fs::write(&gate, "")?;
    let temper = Temper { stuck: Some(("k0".to_owned(), gate.clone())), ..Temper::default() };
    stage.start_with("consumer", Role::Consumer, |it| it.temper = temper)?;
    stage.start_with("writer", Role::Writer, |it| (it.writing.rate, it.writing.keys) = (GENTLE, 10))?;
    let time = stage.time(6.0);
    stage.pass(time).await;
    while behind(stage, true).await? == 0 {
        stage.pass(Duration::from_millis(100)).await;
    }
    stage.end("writer").await?;
    let (mut before, mut moved) = (0, Instant::now());
    loop {
        let others = behind(stage, false).await?;
        if others == 0 {
            break;
        }
        if others != before {
            (before, moved) = (others, Instant::now());
        }
        if moved.elapsed() > stage.patience {
            stage.fails("the others do not get on beside the slow account");
            break;
        }
        stage.pass(Duration::from_millis(100)).await;
    }
    let slow = behind(stage, true).await?;
    stage.fact("slow key behind", slow as f64);
    ensure!(slow > 0, "the slow account had nothing to do");
    if stage.said("consumer").contains("max.poll.interval") {
        stage.fails("a slow handler was taken for a dead member");
    }
    let memory = stage.node("consumer")?.memory().context("the consumer's memory")?;
    stage.fact("consumer MB", memory as f64 / 1e6);
    Ok(std::fs::remove_file(gate)?)
}

/// How many credits of the slow account, or of the others, are not applied.
async fn behind(stage: &Stage, slow: bool) -> Result<i64> {
    let count = |stream: &str| format!("select count(*) from cqrs.log where (stream = '{stream}') = {slow}");
    let sent: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count("account-k0"))).fetch_one(&stage.source_tap).await?;
    let done: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count("mirror-k0"))).fetch_one(&stage.effects_tap).await?;
    Ok(sent - done)
}

/// Fifty commands at once share two connections.
pub(in crate::ledger) async fn small_pool(stage: &mut Stage) -> Result<()> {
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection)] {
        stage.start_with(name, role, |it| it.connections = 2)?;
    }
    stage.start_with("writer", Role::Writer, |it| (it.connections, it.writing.tasks) = (2, 50))?;
    let time = stage.time(12.0);
    stage.pass(time).await;
    Ok(())
}

/// One append is held open for eight seconds, in the middle of its commit. The feed waits for it, and then goes on.
pub(in crate::ledger) async fn held_append(stage: &mut Stage) -> Result<()> {
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection)] {
        stage.start(name, role)?;
    }
    super::relay::holds_lanes(stage).await?;
    let hold = "create function hold() returns trigger language plpgsql as $$ \
        begin perform pg_sleep(8); return null; end $$; \
        create constraint trigger hold after insert on cqrs.log deferrable initially deferred for each row \
        when (new.stream = 'account-k3' and new.version = 100) execute function hold()";
    sqlx::raw_sql(hold).execute(&stage.source_tap).await?;
    stage.start("reader", Role::Reader)?;
    stage.start_with("writer", Role::Writer, |it| it.writing.keys = 20)?;
    let time = stage.time(12.0).max(Duration::from_secs(12));
    stage.pass(time).await;
    Ok(())
}

/// Callers drop their commands at any await, and ask again under the same key.
pub(in crate::ledger) async fn dropped_commands(stage: &mut Stage) -> Result<()> {
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection)] {
        stage.start(name, role)?;
    }
    stage.start_with("writer", Role::Writer, |it| it.writing.cancels = true)?;
    let time = stage.time(12.0);
    stage.pass(time).await;
    Ok(())
}

/// Clocks are an hour wrong, in both directions, and jump every three seconds.
pub(in crate::ledger) async fn wrong_clocks(stage: &mut Stage) -> Result<()> {
    stage.start_with("projection", Role::Projection, |it| it.skew = -3_600)?;
    stage.start_with("relay-a", Role::Relay, |it| it.skew = 3_600)?;
    super::relay::holds_lanes(stage).await?;
    stage.start_with("relay-b", Role::Relay, |it| it.skew = -3_600)?;
    stage.start_with("writer", Role::Writer, |it| it.skew = 3_600)?;
    for name in ["relay-a", "relay-b", "relay-a"] {
        let time = stage.time(4.0);
        stage.pass(time).await;
        let held = super::relay::owners(stage).await?;
        stage.kill(name).await?;
        let other = if name == "relay-a" { "relay-b" } else { "relay-a" };
        super::relay::taken_over(stage, &held, other).await?;
        stage.again(name, None)?;
    }
    Ok(())
}
