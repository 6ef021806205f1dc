//! Faults of the broker: gone, frozen, its answers lost.
use crate::ledger::{node::Role, stage::Stage};
use anyhow::Result;
use std::time::Duration;

/// Killed and started again; frozen for longer than a client waits, and let go on.
pub(in crate::ledger) async fn down_and_up(stage: &mut Stage) -> Result<()> {
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection), ("writer", Role::Writer)] {
        stage.start(name, role)?;
    }
    let kafka = stage.parts.clone();
    stage.pass(Duration::from_secs(4)).await;
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
