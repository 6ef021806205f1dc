//! Faults of timing: one slow account, a small pool, a slow append, dropped commands and wrong clocks.
use super::consumer::GENTLE;
use crate::fault_suite::{
    check::Invariant::I9,
    fixture::Fixture,
    node::{HandlerBehaviour, Role},
};
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// The handler hangs on one account until all others are done, which stands for a slow account without depending on a
/// clock. The consumer must not lose its membership meanwhile; its memory is recorded.
pub(in crate::fault_suite) async fn one_slow_key(fixture: &mut Fixture) -> Result<()> {
    fixture.start("relay", Role::Relay)?;
    let gate = fixture.template.folder.join("gate");
    std::fs::write(&gate, "")?;
    let behaviour = HandlerBehaviour { stuck: Some(("k0".to_owned(), gate.clone())), ..HandlerBehaviour::default() };
    fixture.start_with("consumer", Role::Consumer, |config| config.behaviour = behaviour)?;
    fixture.start_with("writer", Role::Writer, |config| (config.writing.rate, config.writing.keys) = (GENTLE, 10))?;
    let time = fixture.time(6.0);
    fixture.wait(time).await;
    while behind(fixture, true).await? == 0 {
        fixture.wait(Duration::from_millis(100)).await;
    }
    fixture.end("writer").await?;
    let (mut before, mut moved) = (0, Instant::now());
    loop {
        let others = behind(fixture, false).await?;
        if others == 0 {
            break;
        }
        if others != before {
            (before, moved) = (others, Instant::now());
        }
        if moved.elapsed() > fixture.patience {
            fixture.violation(I9, "the other accounts make no progress while one account is slow");
            break;
        }
        fixture.wait(Duration::from_millis(100)).await;
    }
    let slow = behind(fixture, true).await?;
    fixture.fact("slow key behind", slow as f64);
    ensure!(slow > 0, "no credits of the slow account were pending");
    if fixture.log_of("consumer").contains("max.poll.interval") {
        fixture.violation(I9, "a member with a slow handler exceeded the maximum poll interval");
    }
    let memory = fixture.node("consumer")?.memory().context("cannot read the memory of the consumer")?;
    fixture.fact("consumer MB", memory as f64 / 1e6);
    Ok(std::fs::remove_file(gate)?)
}

/// Returns the number of unapplied credits of the slow account, or of the others.
async fn behind(fixture: &Fixture, slow: bool) -> Result<i64> {
    let count = |stream: &str| format!("select count(*) from cqrs.log where (stream = '{stream}') = {slow}");
    let sent: i64 =
        sqlx::query_scalar(sqlx::AssertSqlSafe(count("account/k0"))).fetch_one(&fixture.source_probe).await?;
    let done: i64 =
        sqlx::query_scalar(sqlx::AssertSqlSafe(count("mirror/k0"))).fetch_one(&fixture.effects_probe).await?;
    Ok(sent - done)
}

/// Fifty concurrent commands share two connections.
pub(in crate::fault_suite) async fn small_pool(fixture: &mut Fixture) -> Result<()> {
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection)] {
        fixture.start_with(name, role, |config| config.connections = 2)?;
    }
    fixture.start_with("writer", Role::Writer, |config| (config.connections, config.writing.tasks) = (2, 50))?;
    let time = fixture.time(12.0);
    fixture.wait(time).await;
    Ok(())
}

/// One append is held open for eight seconds, in the middle of its commit. Readers of the log wait for it and then
/// continue.
pub(in crate::fault_suite) async fn held_append(fixture: &mut Fixture) -> Result<()> {
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection)] {
        fixture.start(name, role)?;
    }
    super::relay::wait_for_leases(fixture).await?;
    let hold = "create table held (version bigint); create function hold() returns trigger language plpgsql as $$ \
        begin insert into held values (new.version); perform pg_sleep(8); return null; end $$; \
        create constraint trigger hold after insert on cqrs.log deferrable initially deferred for each row \
        when (new.stream = 'account/k3' and new.version = 100) execute function hold()";
    sqlx::raw_sql(hold).execute(&fixture.source_probe).await?;
    fixture.start("reader", Role::Reader)?;
    fixture.start_with("writer", Role::Writer, |config| config.writing.keys = 20)?;
    let time = fixture.time(12.0).max(Duration::from_secs(12));
    fixture.wait(time).await;
    let held: i64 = sqlx::query_scalar("select count(*) from held").fetch_one(&fixture.source_probe).await?;
    ensure!(held > 0, "no append was held open");
    Ok(())
}

/// Callers drop their commands at any await point and send them again with the same idempotency key.
pub(in crate::fault_suite) async fn dropped_commands(fixture: &mut Fixture) -> Result<()> {
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection)] {
        fixture.start(name, role)?;
    }
    fixture.start_with("writer", Role::Writer, |config| config.writing.cancels = true)?;
    let time = fixture.time(12.0);
    fixture.wait(time).await;
    Ok(())
}

/// Clocks are an hour wrong, in both directions, and jump every three seconds.
pub(in crate::fault_suite) async fn wrong_clocks(fixture: &mut Fixture) -> Result<()> {
    fixture.start_with("projection", Role::Projection, |config| config.skew = -3_600)?;
    fixture.start_with("relay-a", Role::Relay, |config| config.skew = 3_600)?;
    super::relay::wait_for_leases(fixture).await?;
    fixture.start_with("relay-b", Role::Relay, |config| config.skew = -3_600)?;
    fixture.start_with("writer", Role::Writer, |config| config.skew = 3_600)?;
    for name in ["relay-a", "relay-b", "relay-a"] {
        let time = fixture.time(4.0);
        fixture.wait(time).await;
        let held = super::relay::owners(fixture).await?;
        fixture.kill(name).await?;
        let other = if name == "relay-a" { "relay-b" } else { "relay-a" };
        super::relay::taken_over(fixture, &held, other).await?;
        fixture.restart(name, None)?;
    }
    Ok(())
}
