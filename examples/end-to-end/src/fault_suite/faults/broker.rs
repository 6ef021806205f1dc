//! Faults of the broker: killed, frozen, or with another number of partitions.
use crate::fault_suite::{
    fixture::Fixture,
    node::{REFUSED, Role},
};
use anyhow::{Result, ensure};
use std::time::Duration;

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
