//! A topic that is deleted and created again: its readers refuse it until an operator accepts it.
use super::consumer::CALM;
use crate::fault_suite::{account::Posted, fixture::Fixture, node::Role, probes::database, tally::VIEW};
use anyhow::{Result, bail, ensure};
use cqrs_core::IntegrationEvent;
use std::time::{Duration, Instant};

/// The readers of the topic.
const READERS: [(&str, Role); 2] = [("projection", Role::Projection), ("consumer", Role::Consumer)];
/// The time in which readers notice that a topic is another one. They compare it every five seconds.
const NOTICED_WITHIN: Duration = Duration::from_secs(20);
/// The time in which an operator succeeds: the groups of a refused topic are empty after a few seconds.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(30);

/// The topic is deleted and created again, first beside the running readers and relay, then while they are stopped. Its
/// readers refuse it in their health and log, and apply nothing. Once accepted, they apply everything that is new.
///
/// Nothing is written to the new topic until running readers have noticed it, which takes up to five seconds.
pub(in crate::fault_suite) async fn created_again(fixture: &mut Fixture) -> Result<()> {
    fixture.template.reports_health = true;
    fixture.start("relay", Role::Relay)?;
    for (name, role) in READERS {
        fixture.start(name, role)?;
    }
    fixture.start_with("writer", Role::Writer, |config| config.writing.rate = CALM)?;
    let rounds: &[bool] = if fixture.template.seeded_bug.is_none() { &[true, false] } else { &[false] };
    for running in rounds {
        let time = fixture.time(4.0);
        fixture.wait(time).await;
        everything_is_read(fixture).await?;
        let names = READERS.map(|(name, _)| name);
        let stopped: &[&str] = if *running { &[] } else { &["projection", "consumer", "relay"] };
        for name in stopped {
            fixture.end(name).await?;
        }
        create_again(fixture).await?;
        for name in stopped {
            fixture.restart(name, None)?;
        }
        if fixture.template.seeded_bug.is_some() {
            fixture.restart("writer", None)?; // nothing is refused, so there is nothing to accept
            break;
        }
        let began = Instant::now();
        for name in names {
            refuses(fixture, name).await?;
        }
        fixture.fact("refused s", began.elapsed().as_secs_f64());
        fixture.restart("writer", None)?;
        fixture.wait_for_success(ACCEPTED_WITHIN).await?;
        let before = effects(fixture).await?;
        fixture.wait(Duration::from_secs(3)).await;
        let after = effects(fixture).await?;
        ensure!(before == after, "a refused topic was read: {before:?} became {after:?}");
        // The two services share a database here, so one acceptance is for both: that of the one with a group to set back.
        accept(fixture, "consumer").await?;
        for name in names {
            fixture.wait_for_healthy(name, "topics", NOTICED_WITHIN).await?;
        }
    }
    let time = fixture.time(3.0);
    fixture.wait(time).await;
    Ok(())
}

/// Stops the writer and waits until everything is read, because records that a reader has not read are lost with the topic.
async fn everything_is_read(fixture: &mut Fixture) -> Result<()> {
    fixture.end("writer").await?;
    let patience = std::mem::replace(&mut fixture.patience, ACCEPTED_WITHIN); // that of a seeded bug is short
    fixture.wait_for_arrival().await?;
    fixture.patience = patience;
    Ok(())
}

/// Deletes the topic and creates it again, and keeps its records for the checker.
async fn create_again(fixture: &mut Fixture) -> Result<()> {
    let broker = fixture.broker.clone();
    let old = tokio::task::spawn_blocking(move || broker.credits()).await??;
    fixture.deleted_topics.extend(old);
    fixture.broker.create_again(fixture.template.partitions).await?;
    fixture.disturbed();
    Ok(())
}

/// Waits until a reader refuses the topic in its health, and checks that its log says so.
async fn refuses(fixture: &mut Fixture, name: &str) -> Result<()> {
    fixture.wait_for_unhealthy(name, "topics", Posted::TOPIC, NOTICED_WITHIN).await?;
    let log = fixture.log_of(name);
    ensure!(log.contains("until an operator accepts it"), "{name} has not logged the refusal");
    Ok(())
}

/// Returns the numbers of credits that the projection and the subscriber have applied.
async fn effects(fixture: &Fixture) -> Result<(u64, u64)> {
    let tallied = database::tallies(&fixture.effects_probe, VIEW).await?.values().map(|tally| tally.count).sum();
    Ok((tallied, database::count(&fixture.effects_probe).await?))
}

/// Accepts the topic for a reader, as an operator does: again while the groups still have members.
async fn accept(fixture: &mut Fixture, reader: &str) -> Result<()> {
    let (config, began) = (fixture.node(reader)?.config.clone(), Instant::now());
    let operator = format!("operator-of-{reader}");
    loop {
        fixture.start_with(&operator, config.role, |operator| {
            (operator.accepts, operator.reports_health) = (Some(Posted::TOPIC.to_owned()), false);
        })?;
        match fixture.node(&operator)?.ended(ACCEPTED_WITHIN).await? {
            Some(0) => break,
            _ if began.elapsed() < ACCEPTED_WITHIN => fixture.wait(Duration::from_millis(500)).await,
            code => bail!("the topic was not accepted for {reader}: {code:?}, {}", fixture.log_tail(&operator)),
        }
    }
    fixture.remove(&operator);
    Ok(())
}
