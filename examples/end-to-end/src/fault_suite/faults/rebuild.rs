//! A rebuild of a view whose process is killed.
use super::{consumer::CALM, relay::wait_for_leases};
use crate::fault_suite::{
    check::Invariant::I1,
    deploy::Program,
    fixture::Fixture,
    layers::{Fail, Point},
    node::{CopyReport, Role},
};
use anyhow::{Context, Result, bail, ensure};
use std::time::Duration;

/// The process that rebuilds the view of the writers' own log.
const OPERATOR: &str = "operator";
/// The time in which a rebuild ends, or dies at its crash point. After a kill, the events of the last batch are tried one
/// by one, because each of them may have ended the process.
const ENDS_WITHIN: Duration = Duration::from_secs(90);
/// The number of rebuilds that are killed several times and then run to their end.
const REBUILDS: f64 = 2.0;

/// The process that rebuilds a view is killed at a random moment, before and after a batch of its copy, and before and
/// after the switch. Another one goes on each time, and the last one switches. The relay, which updates the copy that
/// serves, is killed as well.
pub(in crate::fault_suite) async fn killed(fixture: &mut Fixture) -> Result<()> {
    fixture.template.program = Some(Program::Before);
    fixture.start("relay", Role::Relay)?;
    wait_for_leases(fixture).await?;
    fixture.start_with("writer", Role::Writer, |config| config.writing.rate = CALM)?;
    let time = fixture.time(3.0);
    fixture.wait(time).await;
    let mut kills = 0;
    for _ in 0..(REBUILDS * fixture.scale).ceil() as usize {
        let mut moments = [None, Some(Point::AfterCommit), Some(Point::BeforeSwitch), Some(Point::AfterSwitch)];
        fixture.random.shuffle(&mut moments);
        // The last one leaves its copy to the rebuild that is not killed.
        for moment in moments.into_iter().chain([Some(Point::BeforeCommit)]) {
            kills += usize::from(dies(fixture, moment).await?);
        }
        fixture.kill("relay").await?;
        fixture.restart("relay", None)?;
        switches(fixture).await?;
        fixture.wait(time / 3).await;
    }
    fixture.remove(OPERATOR);
    ensure!(kills > 0, "every rebuild has ended before it was killed");
    fixture.fact("killed rebuilds", kills as f64);
    Ok(())
}

/// Starts a rebuild that dies at a moment, or at a random one. Returns `false` if it has ended before.
async fn dies(fixture: &mut Fixture, moment: Option<Point>) -> Result<bool> {
    let nth = match moment {
        Some(Point::BeforeCommit | Point::AfterCommit) => fixture.random.u64(1..=2),
        _ => 1,
    };
    let fail = moment.map(|point| Fail::at(point, nth));
    fixture.start_with(OPERATOR, Role::Rebuild, |config| config.fail = fail)?;
    if moment.is_none() {
        let time = Duration::from_millis(fixture.random.u64(50..2_500));
        fixture.wait(time).await;
        if fixture.node(OPERATOR)?.runs() {
            fixture.kill(OPERATOR).await?;
            return Ok(true);
        }
    }
    match fixture.node(OPERATOR)?.ended(ENDS_WITHIN).await? {
        Some(-1) => Ok(true),
        Some(0) => compared(fixture).map(|()| false),
        code => bail!("a rebuild that should be killed ended with {code:?}: {}", fixture.log_tail(OPERATOR)),
    }
}

/// Rebuilds the view to the end.
async fn switches(fixture: &mut Fixture) -> Result<()> {
    fixture.start(OPERATOR, Role::Rebuild)?;
    let code = fixture.node(OPERATOR)?.ended(ENDS_WITHIN).await?;
    ensure!(code == Some(0), "the rebuild has not switched: {code:?}: {}", fixture.log_tail(OPERATOR));
    compared(fixture)
}

/// Reads the report of a rebuild that has switched. Both copies are folds of the same log, so they must not differ.
fn compared(fixture: &mut Fixture) -> Result<()> {
    let report = std::fs::read(fixture.node(OPERATOR)?.config.file("rebuilt")).context("a rebuild without a report")?;
    let CopyReport { copy, different, events } = serde_json::from_slice(&report)?;
    fixture.fact("rebuilt events", events as f64);
    if different > 0 {
        fixture.violation(I1, format!("copy {copy} and the copy that served differ under {different} keys"));
    }
    Ok(())
}
