//! The scenarios in which seeded bugs show.
use super::{
    faults::{consumer::GENTLE, relay::wait_for_tables},
    fixture::Fixture,
    layers::{Fail, Point},
    node::{HandlerBehaviour, Role},
    probes::database,
};
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// The longest time until a relay that has started is at work.
const RELAYS_WITHIN: Duration = Duration::from_secs(60);

/// Some commits are delayed, so that a transaction with an early position may commit late.
pub(super) async fn late_commits(fixture: &mut Fixture) -> Result<()> {
    fixture.start("relay", Role::Relay)?;
    wait_for_tables(fixture).await?;
    let late = "create function late() returns trigger language plpgsql as $$ \
        begin perform pg_sleep(random() * 0.03); return null; end $$; \
        create constraint trigger late after insert on cqrs.log deferrable initially deferred for each row \
        when (new.version % 17 = 0) execute function late()";
    sqlx::raw_sql(late).execute(&fixture.source_probe).await?;
    fixture.start("reader", Role::Reader)?;
    fixture.start("writer", Role::Writer)?;
    let time = fixture.time(6.0);
    fixture.wait(time).await;
    Ok(())
}

/// Two relays run at the same time, without any fault.
pub(super) async fn two_relays(fixture: &mut Fixture) -> Result<()> {
    sqlx::query("create table taken (pos bigint primary key)").execute(&fixture.source_probe).await?; // for SKIP LOCKED
    fixture.start("relay-a", Role::Relay)?;
    wait_for_tables(fixture).await?;
    fixture.start("relay-b", Role::Relay)?;
    fixture.start("writer", Role::Writer)?;
    let time = fixture.time(6.0);
    fixture.wait(time).await;
    Ok(())
}

/// The relay is killed three times.
pub(super) async fn killed_relay(fixture: &mut Fixture) -> Result<()> {
    fixture.start("relay", Role::Relay)?;
    fixture.start("writer", Role::Writer)?;
    for _ in 0..3 {
        fixture.wait(Duration::from_secs(2)).await;
        fixture.kill("relay").await?;
        fixture.restart("relay", None)?;
    }
    fixture.wait(Duration::from_secs(2)).await;
    Ok(())
}

/// The relay is terminated many times with records in flight. No process is killed, so no duplicate is allowed.
///
/// On a quiet machine records are in flight for a small part of the time only: three ends were not always enough.
pub(super) async fn ended_relay(fixture: &mut Fixture) -> Result<()> {
    fixture.start("relay", Role::Relay)?;
    wait_for_tables(fixture).await?;
    fixture.start("writer", Role::Writer)?;
    for _ in 0..12 {
        until_relayed(fixture).await?;
        fixture.end("relay").await?;
        fixture.restart("relay", None)?;
    }
    fixture.wait(Duration::from_secs(1)).await;
    Ok(())
}

/// Waits until the relay has moved several checkpoints, so that it is at work: one that ended at once has left its leases.
async fn until_relayed(fixture: &mut Fixture) -> Result<()> {
    let before = database::checkpoints(&fixture.source_probe).await?;
    let began = Instant::now();
    loop {
        let now = database::checkpoints(&fixture.source_probe).await?;
        let moved =
            now.iter().filter(|(shard, checkpoint)| before.get(*shard).is_none_or(|before| *checkpoint > before));
        if moved.count() >= 3 {
            return Ok(());
        }
        ensure!(began.elapsed() < RELAYS_WITHIN, "the relay does not go on");
        fixture.wait(Duration::from_millis(20)).await;
    }
}

/// Many writers share few accounts, so that they conflict and decide again.
pub(super) async fn busy_writers(fixture: &mut Fixture) -> Result<()> {
    fixture.start("relay", Role::Relay)?;
    wait_for_tables(fixture).await?;
    fixture.start_with("writer", Role::Writer, |config| config.writing.keys = 5)?;
    let time = fixture.time(5.0);
    fixture.wait(time).await;
    Ok(())
}

/// The consumer is killed repeatedly, each time before a commit.
pub(super) async fn killed_consumer(fixture: &mut Fixture) -> Result<()> {
    fixture.start("relay", Role::Relay)?;
    fixture.start_with("consumer", Role::Consumer, |config| {
        config.instance = Some("consumer".to_owned());
        config.fail = Some(Fail::at(Point::BeforeCommit, 200));
        config.behaviour = HandlerBehaviour { work: 20, ..HandlerBehaviour::default() };
    })?;
    fixture.start_with("writer", Role::Writer, |config| config.writing.rate = GENTLE)?;
    let until = Instant::now() + fixture.time(10.0);
    while Instant::now() < until {
        fixture.wait_for_crash("consumer").await?;
        let nth = fixture.random.u64(150..400);
        fixture.restart("consumer", Some(Fail::at(Point::BeforeCommit, nth)))?;
    }
    fixture.kill("consumer").await?;
    Ok(())
}
