//! Faults of the broker: gone, frozen, its answers lost.
use crate::ledger::{
    node::{REFUSED, Role},
    stage::Stage,
};
use anyhow::{Result, ensure};
use std::time::Duration;

/// While the broker is away nothing is sent, and commands go on: as many as can be sent in the time that is left.
const STEADY: u64 = 120;

/// Killed and started again; frozen for longer than a client waits, and let go on.
pub(in crate::ledger) async fn down_and_up(stage: &mut Stage) -> Result<()> {
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection)] {
        stage.start(name, role)?;
    }
    stage.start_with("writer", Role::Writer, |it| it.writing.rate = STEADY)?;
    let kafka = stage.parts.clone();
    stage.pass(Duration::from_secs(3)).await;
    kafka.kafka()?.kill()?;
    stage.disturbed(); // what it had acknowledged and not said
    stage.pass(Duration::from_secs(1)).await;
    kafka.kafka()?.start_again()?;
    stage.pass(Duration::from_secs(3)).await;
    kafka.kafka()?.freeze()?;
    stage.disturbed();
    let time = stage.time(5.0);
    stage.pass(time).await;
    kafka.kafka()?.thaw()?;
    stage.pass(Duration::from_secs(3)).await;
    Ok(())
}

/// The topic gets more partitions. Whoever starts with the old number refuses; whoever is told the new one moves keys.
pub(in crate::ledger) async fn more_partitions(stage: &mut Stage) -> Result<()> {
    for (name, role) in [("projection", Role::Projection), ("relay", Role::Relay), ("writer", Role::Writer)] {
        stage.start(name, role)?;
    }
    let time = stage.time(4.0);
    stage.pass(time).await;
    let more = stage.template.partitions + 3;
    stage.broker.grow(more as usize).await?;
    stage.end("relay").await?;
    stage.again("relay", None)?;
    let code = stage.node("relay")?.ended(Duration::from_secs(20)).await?;
    ensure!(code == Some(REFUSED.into()), "a relay starts on a topic with another number of partitions: {code:?}");
    stage.template.partitions = more;
    stage.start("relay", Role::Relay)?;
    stage.pass(time).await;
    Ok(())
}
