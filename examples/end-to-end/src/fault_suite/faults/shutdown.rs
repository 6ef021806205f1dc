//! Shutdown under load: processes receive SIGTERM with work in flight, and nothing is sent or applied twice.
use crate::fault_suite::{faults::consumer::GENTLE, fixture::Fixture, node::Role};
use anyhow::Result;
use std::time::Duration;

/// Terminates the roles in turn, twenty times in all. After a clean end nothing is repeated, so no duplicate is
/// allowed.
pub(in crate::fault_suite) async fn under_load(fixture: &mut Fixture) -> Result<()> {
    let roles = [("relay", Role::Relay), ("projection", Role::Projection), ("consumer", Role::Consumer)];
    for (name, role) in roles {
        fixture.start(name, role)?;
    }
    fixture.start_with("writer", Role::Writer, |config| config.writing.rate = GENTLE)?;
    fixture.wait(Duration::from_secs(2)).await;
    let times = (20.0 * fixture.scale) as usize;
    for (name, _) in roles.into_iter().chain([("writer", Role::Writer)]).cycle().take(times) {
        fixture.end(name).await?;
        fixture.restart(name, None)?;
        let pause = Duration::from_millis(fixture.random.u64(200..700));
        fixture.wait(pause).await;
    }
    Ok(())
}
