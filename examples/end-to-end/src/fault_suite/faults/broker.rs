//! Faults of the broker: killed, frozen, or with another number of partitions.
use super::consumer::CALM;
use crate::fault_suite::{
    fixture::Fixture,
    layers::Scoped,
    mirror,
    node::{REFUSED, Role},
    probes::database,
};
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};
use test_support::{Operation, Resource, Right};

/// Commands per second. They go on while the broker is down, so the rate must leave time to relay the backlog
/// afterwards.
const STEADY: u64 = 120;

/// The broker is killed and started again. Then it is frozen for longer than a client waits, and resumed.
pub(in crate::fault_suite) async fn down_and_up(fixture: &mut Fixture) -> Result<()> {
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection)] {
        fixture.start(name, role)?;
    }
    fixture.start_with("writer", Role::Writer, |config| config.writing.rate = STEADY)?;
    let kafka = fixture.servers.clone();
    fixture.wait(Duration::from_secs(3)).await;
    kafka.kafka()?.kill()?;
    fixture.disturbed(); // it may have stored records without acknowledging them
    fixture.wait(Duration::from_secs(1)).await;
    kafka.kafka()?.start_again()?;
    fixture.wait(Duration::from_secs(3)).await;
    kafka.kafka()?.freeze()?;
    fixture.disturbed();
    let time = fixture.time(5.0);
    fixture.wait(time).await;
    kafka.kafka()?.thaw()?;
    fixture.wait(Duration::from_secs(3)).await;
    Ok(())
}

/// The time in which a service reports a missing right in its health.
const REPORTED_WITHIN: Duration = Duration::from_secs(15);
/// The time in which a service goes on once it has the right again.
const GOES_ON_WITHIN: Duration = Duration::from_secs(30);

/// The right to write the topic is taken away and given back, then the right to read the group. Meanwhile the services
/// report it, and no message is parked.
pub(in crate::fault_suite) async fn rights(fixture: &mut Fixture) -> Result<()> {
    let (topic, group) = (fixture.broker.topic.clone(), Scoped::name(mirror::GROUP, &fixture.template.scope));
    let kafka = fixture.servers.clone();
    let on_topic = |operation| Right { resource: Resource::Topic(&topic), operation };
    let on_group = |operation| Right { resource: Resource::Group(&group), operation };
    let (write, read) = (on_topic(Operation::Write), on_group(Operation::Read));
    for operation in [Operation::Read, Operation::Create, Operation::Describe, Operation::DescribeConfigs] {
        kafka.kafka()?.grant(on_topic(operation))?;
    }
    for right in [write, read, on_group(Operation::Describe)] {
        kafka.kafka()?.grant(right)?;
    }
    fixture.template.reports_health = true;
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection), ("consumer", Role::Consumer)] {
        fixture.start(name, role)?;
    }
    fixture.start_with("writer", Role::Writer, |config| config.writing.rate = CALM)?;
    let time = fixture.time(4.0);
    fixture.wait(time).await;
    fixture.wait_for_success(GOES_ON_WITHIN).await?;
    for (name, component) in [("relay", "topics"), ("consumer", "jobs")] {
        fixture.wait_for_healthy(name, component, GOES_ON_WITHIN).await?;
    }
    fixture.watch_parked(|_| false).await?;
    for (right, name, component) in [(write, "relay", "topics"), (read, "consumer", "jobs")] {
        kafka.kafka()?.revoke(right)?;
        fixture.disturbed();
        let missing = Instant::now();
        if fixture.template.seeded_bug.is_some() {
            // With the bug a relay has nothing to report, and nothing to try again.
            while database::were_parked(&fixture.source_probe).await?.is_empty() && missing.elapsed() < GOES_ON_WITHIN {
                fixture.wait(Duration::from_millis(200)).await;
            }
            kafka.kafka()?.grant(right)?;
            break;
        }
        fixture.wait_for_unhealthy(name, component, "", REPORTED_WITHIN).await?;
        fixture.fact("reported s", missing.elapsed().as_secs_f64());
        let log = fixture.log_of(name).to_lowercase();
        ensure!(log.contains("authorization"), "{name} has not logged the reason: {}", fixture.log_tail(name));
        fixture.wait(time).await;
        fixture.wait_for_success(GOES_ON_WITHIN).await?; // commands need neither right
        kafka.kafka()?.grant(right)?;
        fixture.wait_for_healthy(name, component, GOES_ON_WITHIN).await?;
        fixture.wait(time).await;
    }
    Ok(())
}

/// Partitions are added to the topic. A relay with the old number refuses to start; one with the new number moves keys.
pub(in crate::fault_suite) async fn more_partitions(fixture: &mut Fixture) -> Result<()> {
    for (name, role) in [("projection", Role::Projection), ("relay", Role::Relay), ("writer", Role::Writer)] {
        fixture.start(name, role)?;
    }
    let time = fixture.time(4.0);
    fixture.wait(time).await;
    let more = fixture.template.partitions + 3;
    fixture.broker.grow(more as usize).await?;
    fixture.end("relay").await?;
    fixture.restart("relay", None)?;
    let code = fixture.node("relay")?.ended(Duration::from_secs(20)).await?;
    ensure!(code == Some(REFUSED.into()), "a relay started on a topic with another number of partitions: {code:?}");
    fixture.template.partitions = more;
    fixture.start("relay", Role::Relay)?;
    fixture.wait(time).await;
    Ok(())
}
