//! Shutdown under load: asked to end in the middle of everything, and nothing is sent or done twice.
use crate::ledger::{faults::consumer::GENTLE, node::Role, stage::Stage};
use anyhow::Result;
use std::time::Duration;

/// Twenty times in all, each role in its turn. A clean end leaves nothing to be done again: not one duplicate is explained.
pub(in crate::ledger) async fn under_load(stage: &mut Stage) -> Result<()> {
    let roles = [("relay", Role::Relay), ("projection", Role::Projection), ("consumer", Role::Consumer)];
    for (name, role) in roles {
        stage.start(name, role)?;
    }
    stage.start_with("writer", Role::Writer, |it| it.writing.rate = GENTLE)?;
    stage.pass(Duration::from_secs(2)).await;
    let times = (20.0 * stage.scale) as usize;
    for (name, _) in roles.into_iter().chain([("writer", Role::Writer)]).cycle().take(times) {
        stage.end(name).await?;
        stage.again(name, None)?;
        let pause = Duration::from_millis(stage.chance.u64(200..700));
        stage.pass(pause).await;
    }
    Ok(())
}
