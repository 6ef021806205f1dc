//! What is done to a run with a planted bug, so that the bug shows.
use super::{
    faults::{consumer::GENTLE, relay::has_tables},
    layers::{Fail, Point},
    node::{Role, Temper},
    stage::Stage,
};
use anyhow::Result;
use std::time::{Duration, Instant};

/// Some commits take their time: who drew a position early may commit late.
pub(super) async fn late_commits(stage: &mut Stage) -> Result<()> {
    stage.start("relay", Role::Relay)?;
    has_tables(stage).await?;
    let late = "create function late() returns trigger language plpgsql as $$ \
        begin perform pg_sleep(random() * 0.03); return null; end $$; \
        create constraint trigger late after insert on cqrs.log deferrable initially deferred for each row \
        when (new.version % 17 = 0) execute function late()";
    sqlx::raw_sql(late).execute(&stage.source_tap).await?;
    stage.start("reader", Role::Reader)?;
    stage.start("writer", Role::Writer)?;
    let time = stage.time(6.0);
    stage.pass(time).await;
    Ok(())
}

/// Two relays, and nothing else goes wrong.
pub(super) async fn two_relays(stage: &mut Stage) -> Result<()> {
    sqlx::query("create table claimed (pos bigint primary key)").execute(&stage.source_tap).await?; // for SKIP LOCKED
    stage.start("relay-a", Role::Relay)?;
    has_tables(stage).await?;
    stage.start("relay-b", Role::Relay)?;
    stage.start("writer", Role::Writer)?;
    let time = stage.time(6.0);
    stage.pass(time).await;
    Ok(())
}

/// The relay is killed, again and again.
pub(super) async fn killed_relay(stage: &mut Stage) -> Result<()> {
    stage.start("relay", Role::Relay)?;
    stage.start("writer", Role::Writer)?;
    for _ in 0..3 {
        stage.pass(Duration::from_secs(2)).await;
        stage.kill("relay").await?;
        stage.again("relay", None)?;
    }
    stage.pass(Duration::from_secs(2)).await;
    Ok(())
}

/// The relay is asked to end, again and again, with records on their way. Nothing is killed: not one duplicate is explained.
pub(super) async fn ended_relay(stage: &mut Stage) -> Result<()> {
    stage.start("relay", Role::Relay)?;
    stage.start("writer", Role::Writer)?;
    for _ in 0..5 {
        stage.pass(Duration::from_secs(1)).await;
        stage.end("relay").await?;
        stage.again("relay", None)?;
    }
    stage.pass(Duration::from_secs(1)).await;
    Ok(())
}

/// Many writers on few accounts: they are in each other's way, and decide again.
pub(super) async fn busy_writers(stage: &mut Stage) -> Result<()> {
    stage.start("relay", Role::Relay)?;
    has_tables(stage).await?;
    stage.start_with("writer", Role::Writer, |it| it.writing.keys = 5)?;
    let time = stage.time(5.0);
    stage.pass(time).await;
    Ok(())
}

/// The consumer is killed in the middle of its work, again and again.
pub(super) async fn killed_consumer(stage: &mut Stage) -> Result<()> {
    stage.start("relay", Role::Relay)?;
    stage.start_with("consumer", Role::Consumer, |it| {
        it.instance = Some("consumer".to_owned());
        it.fail = Some(Fail::at(Point::BeforeCommit, 200));
        it.temper = Temper { work: 20, ..Temper::default() };
    })?;
    stage.start_with("writer", Role::Writer, |it| it.writing.rate = GENTLE)?;
    let until = Instant::now() + stage.time(10.0);
    while Instant::now() < until {
        stage.dies("consumer").await?;
        let nth = stage.chance.u64(150..400);
        stage.again("consumer", Some(Fail::at(Point::BeforeCommit, nth)))?;
    }
    stage.kill("consumer").await?;
    Ok(())
}
