//! Faults of consumers: killed between two steps, told twice, given partitions and taken them away.
use crate::ledger::{
    layers::{Fail, Point, Scoped},
    mirror,
    node::{Role, Temper},
    stage::{Stage, standstill},
};
use anyhow::{Result, ensure};
use rdkafka::{Message, message::OwnedMessage, producer::BaseRecord};
use std::time::{Duration, Instant};

/// A subscriber decides every message by itself: a load that it can follow.
pub(in crate::ledger) const GENTLE: u64 = 40;

/// Two members, which die before their commit or between commit and offset, and come back under their own name in the group.
pub(in crate::ledger) async fn killed(stage: &mut Stage) -> Result<()> {
    stage.start("relay", Role::Relay)?;
    let fail = |stage: &mut Stage| {
        let point = if stage.chance.bool() { Point::BeforeCommit } else { Point::AfterCommit };
        Some(Fail::at(point, stage.chance.u64(20..250)))
    };
    let members = ["consumer-a", "consumer-b"];
    for name in members {
        let fail = fail(stage);
        stage.start_with(name, Role::Consumer, |it| {
            (it.instance, it.fail) = (Some(name.to_owned()), fail);
            it.temper = Temper { work: 5, ..Temper::default() };
        })?;
    }
    stage.start_with("writer", Role::Writer, |it| it.writing.rate = GENTLE)?;
    let until = Instant::now() + stage.time(12.0);
    while Instant::now() < until {
        for name in members {
            if !stage.node(name)?.runs() {
                stage.dies(name).await?;
                let fail = fail(stage);
                stage.again(name, fail)?;
            }
        }
        stage.pass(Duration::from_millis(50)).await;
    }
    for name in members {
        stage.kill(name).await?; // the next start is without a point to die at
    }
    Ok(())
}

/// A tenth of the topic comes again, by another client; then everything, since the group forgets where it was.
pub(in crate::ledger) async fn duplicates(stage: &mut Stage) -> Result<()> {
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection), ("consumer", Role::Consumer)] {
        stage.start(name, role)?;
    }
    stage.start_with("writer", Role::Writer, |it| it.writing.rate = GENTLE)?;
    for _ in 0..2 {
        let time = stage.time(4.0);
        stage.pass(time).await;
        let broker = stage.broker.clone();
        let there = tokio::task::spawn_blocking(move || broker.everything()).await??;
        let again: Vec<OwnedMessage> = there.into_iter().filter(|_| stage.chance.u8(0..10) == 0).collect();
        stage.doubled(again.len() as u64);
        let broker = stage.broker.clone();
        tokio::task::spawn_blocking(move || broker.send(again.iter().map(copy))).await??;
    }
    stage.end("consumer").await?;
    let (broker, group) = (stage.broker.clone(), Scoped::name(mirror::GROUP, &stage.template.scope));
    tokio::task::spawn_blocking(move || broker.reset(&group)).await??;
    stage.again("consumer", None)?;
    let time = stage.time(3.0);
    stage.pass(time).await;
    Ok(())
}

/// The same record once more, where the first one lies.
fn copy(message: &OwnedMessage) -> BaseRecord<'_, [u8], [u8]> {
    let record = BaseRecord::to(message.topic()).partition(message.partition());
    let record = record.key(message.key().unwrap_or_default()).payload(message.payload().unwrap_or_default());
    match message.headers() {
        Some(headers) => record.headers(headers.clone()),
        None => record,
    }
}

/// One member stays; others join every two seconds, and are killed or asked to end.
pub(in crate::ledger) async fn rebalances(stage: &mut Stage) -> Result<()> {
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection), ("consumer", Role::Consumer)] {
        stage.start(name, role)?;
    }
    stage.start_with("writer", Role::Writer, |it| it.writing.rate = GENTLE)?;
    let guests = [("consumer-b", Role::Consumer), ("projection-b", Role::Projection), ("consumer-c", Role::Consumer)];
    let until = Instant::now() + stage.time(20.0);
    for (name, role) in guests.into_iter().cycle() {
        if Instant::now() > until {
            break;
        }
        let (there, rude) = (stage.node(name).is_ok_and(|it| it.runs()), stage.chance.bool());
        match (there, rude) {
            (false, _) => stage.start(name, role)?,
            (true, true) => stage.kill(name).await?,
            (true, false) => stage.end(name).await?,
        }
        stage.pass(Duration::from_secs(2)).await;
    }
    Ok(())
}

/// A member is frozen until its session is over and its partitions have gone to another. Then it goes on where it was. At last only
/// the thread that polls stands still, for longer than it may: the process lives, its heartbeats say so, and its handlers work on.
pub(in crate::ledger) async fn zombie(stage: &mut Stage) -> Result<()> {
    stage.start("relay", Role::Relay)?;
    for name in ["projection-a", "projection-b"] {
        stage.start(name, Role::Projection)?;
    }
    if stage.template.plant.is_none() {
        for name in ["consumer-a", "consumer-b"] {
            stage.start_with(name, Role::Consumer, |it| it.temper = Temper { work: 20, ..Temper::default() })?;
        }
    }
    let rate = if stage.template.plant.is_none() { GENTLE } else { 16 }; // the planted one is slow
    stage.start_with("writer", Role::Writer, |it| it.writing.rate = rate)?;
    stage.pass(Duration::from_secs(4)).await;
    for (projection, consumer) in [("projection-a", "consumer-a"), ("projection-b", "consumer-b")] {
        let frozen: Vec<_> = [projection, consumer].into_iter().filter(|it| stage.node(it).is_ok()).collect();
        for name in &frozen {
            stage.freeze(name)?;
        }
        stage.pass(Duration::from_secs(7)).await; // more than twice the session
        for name in &frozen {
            stage.thaw(name)?;
        }
        let time = stage.time(2.0);
        stage.pass(time).await;
    }
    if stage.template.plant.is_none() {
        let id = stage.node("consumer-a")?.id()?;
        let missed = |stage: &Stage| stage.said("consumer-a").matches("maximum poll interval").count();
        for _ in 0..3 {
            let still = tokio::task::spawn_blocking(move || standstill::of(id, "kafka-poll", SILENCE));
            while !still.is_finished() {
                stage.pass(Duration::from_millis(200)).await;
            }
            still.await??;
            if missed(stage) > 0 {
                break;
            }
        }
        ensure!(missed(stage) > 0, "nobody missed its polls");
        stage.pass(Duration::from_secs(2)).await;
    }
    Ok(())
}
/// Longer than a member's session (3 s) and twice its drain (3 s), which is what it may be silent.
const SILENCE: Duration = Duration::from_secs(10);
