//! Faults of consumers: crashes between two steps, repeated records, rebalances and frozen members.
use crate::fault_suite::{
    fixture::{Fixture, standstill},
    layers::{Fail, Point, Scoped},
    mirror,
    node::{HandlerBehaviour, Role},
};
use anyhow::{Result, ensure};
use rdkafka::{Message, message::OwnedMessage, producer::BaseRecord};
use std::time::{Duration, Instant};

/// Commands per second that a subscriber can follow, because it handles every message in a transaction of its own.
pub(in crate::fault_suite) const GENTLE: u64 = 40;

/// Commands per second after which consumers soon have caught up.
pub(in crate::fault_suite) const CALM: u64 = GENTLE / 2;

/// Two members crash before a commit, or between a commit and the offset, and rejoin the group under their static
/// names.
pub(in crate::fault_suite) async fn killed(fixture: &mut Fixture) -> Result<()> {
    fixture.start("relay", Role::Relay)?;
    let fail = |fixture: &mut Fixture| {
        let point = if fixture.random.bool() { Point::BeforeCommit } else { Point::AfterCommit };
        Some(Fail::at(point, fixture.random.u64(20..250)))
    };
    let members = ["consumer-a", "consumer-b"];
    for name in members {
        let fail = fail(fixture);
        fixture.start_with(name, Role::Consumer, |config| {
            (config.instance, config.fail) = (Some(name.to_owned()), fail);
            config.behaviour = HandlerBehaviour { work: 5, ..HandlerBehaviour::default() };
        })?;
    }
    fixture.start_with("writer", Role::Writer, |config| config.writing.rate = GENTLE)?;
    let until = Instant::now() + fixture.time(12.0);
    while Instant::now() < until {
        for name in members {
            if !fixture.node(name)?.runs() {
                fixture.wait_for_crash(name).await?;
                let fail = fail(fixture);
                fixture.restart(name, fail)?;
            }
        }
        fixture.wait(Duration::from_millis(50)).await;
    }
    for name in members {
        fixture.kill(name).await?; // the next start is without a crash point
    }
    Ok(())
}

/// Another client sends a tenth of the topic again. Then the group's offsets are reset, so that it receives everything
/// again.
pub(in crate::fault_suite) async fn duplicates(fixture: &mut Fixture) -> Result<()> {
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection), ("consumer", Role::Consumer)] {
        fixture.start(name, role)?;
    }
    fixture.start_with("writer", Role::Writer, |config| config.writing.rate = GENTLE)?;
    for _ in 0..2 {
        let time = fixture.time(4.0);
        fixture.wait(time).await;
        let broker = fixture.broker.clone();
        let records = tokio::task::spawn_blocking(move || broker.everything()).await??;
        let again: Vec<OwnedMessage> = records.into_iter().filter(|_| fixture.random.u8(0..10) == 0).collect();
        fixture.doubled(again.len() as u64);
        let broker = fixture.broker.clone();
        tokio::task::spawn_blocking(move || broker.send(again.iter().map(copy))).await??;
    }
    fixture.end("consumer").await?;
    let (broker, group) = (fixture.broker.clone(), Scoped::name(mirror::GROUP, &fixture.template.scope));
    tokio::task::spawn_blocking(move || broker.reset(&group)).await??;
    fixture.restart("consumer", None)?;
    let time = fixture.time(3.0);
    fixture.wait(time).await;
    Ok(())
}

/// Returns a copy of a record, for the same partition.
fn copy(message: &OwnedMessage) -> BaseRecord<'_, [u8], [u8]> {
    let record = BaseRecord::to(message.topic()).partition(message.partition());
    let record = record.key(message.key().unwrap_or_default()).payload(message.payload().unwrap_or_default());
    match message.headers() {
        Some(headers) => record.headers(headers.clone()),
        None => record,
    }
}

/// One member stays. Every two seconds another one joins, is killed or is terminated.
pub(in crate::fault_suite) async fn rebalances(fixture: &mut Fixture) -> Result<()> {
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection), ("consumer", Role::Consumer)] {
        fixture.start(name, role)?;
    }
    fixture.start_with("writer", Role::Writer, |config| config.writing.rate = GENTLE)?;
    let guests = [("consumer-b", Role::Consumer), ("projection-b", Role::Projection), ("consumer-c", Role::Consumer)];
    let until = Instant::now() + fixture.time(20.0);
    for (name, role) in guests.into_iter().cycle() {
        if Instant::now() > until {
            break;
        }
        let (runs, kill) = (fixture.node(name).is_ok_and(|node| node.runs()), fixture.random.bool());
        match (runs, kill) {
            (false, _) => fixture.start(name, role)?,
            (true, true) => fixture.kill(name).await?,
            (true, false) => fixture.end(name).await?,
        }
        fixture.wait(Duration::from_secs(2)).await;
    }
    Ok(())
}

/// A member is frozen until its session has expired and its partitions belong to another member, and is then resumed.
/// Finally only the polling thread of a member is stopped, for longer than the maximum poll interval, while its
/// heartbeats and handlers continue.
pub(in crate::fault_suite) async fn zombie(fixture: &mut Fixture) -> Result<()> {
    fixture.start("relay", Role::Relay)?;
    for name in ["projection-a", "projection-b"] {
        fixture.start(name, Role::Projection)?;
    }
    if fixture.template.seeded_bug.is_none() {
        for name in ["consumer-a", "consumer-b"] {
            let behaviour = HandlerBehaviour { work: 20, ..HandlerBehaviour::default() };
            fixture.start_with(name, Role::Consumer, |config| config.behaviour = behaviour)?;
        }
    }
    // The seeded bug slows the projection down.
    let rate = if fixture.template.seeded_bug.is_none() { GENTLE } else { 16 };
    fixture.start_with("writer", Role::Writer, |config| config.writing.rate = rate)?;
    fixture.wait(Duration::from_secs(4)).await;
    for (projection, consumer) in [("projection-a", "consumer-a"), ("projection-b", "consumer-b")] {
        let frozen: Vec<_> = [projection, consumer].into_iter().filter(|name| fixture.node(name).is_ok()).collect();
        for name in &frozen {
            fixture.freeze(name)?;
        }
        fixture.wait(Duration::from_secs(7)).await; // more than twice the session time-out
        for name in &frozen {
            fixture.thaw(name)?;
        }
        let time = fixture.time(2.0);
        fixture.wait(time).await;
    }
    if fixture.template.seeded_bug.is_none() {
        let id = fixture.node("consumer-a")?.id()?;
        let missed = |fixture: &Fixture| fixture.log_of("consumer-a").matches("maximum poll interval").count();
        for _ in 0..3 {
            let stopping = tokio::task::spawn_blocking(move || standstill::of(id, "kafka-poll", SILENCE));
            while !stopping.is_finished() {
                fixture.wait(Duration::from_millis(200)).await;
            }
            stopping.await??;
            if missed(fixture) > 0 {
                break;
            }
        }
        ensure!(missed(fixture) > 0, "no member exceeded the maximum poll interval");
        fixture.wait(Duration::from_secs(2)).await;
    }
    Ok(())
}
/// Longer than the maximum poll interval, which is a member's session time-out (3 s) plus twice its drain time (3 s).
const SILENCE: Duration = Duration::from_secs(10);
