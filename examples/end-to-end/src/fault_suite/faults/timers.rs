//! Timers whose processes are killed and frozen, and whose clocks are wrong.
use crate::fault_suite::{
    alarms::{self, SetAlarms},
    check::Invariant::I9,
    fixture::Fixture,
    layers::{Fail, Point},
    node::Role,
    probes::flows,
};
use anyhow::{Result, ensure};
use chrono::Utc;
use cqrs_core::storage::Postgres;
use std::time::{Duration, Instant};

/// The replicas of the service. One of them fires, and the other one takes over.
const NODES: [&str; 2] = ["alarms-a", "alarms-b"];
/// The number of alarms that are due at once.
const MANY: u64 = 10_000;
/// The number of alarms that are due while clocks are wrong.
const SOME: u64 = 1_000;
/// The number of alarms that are due in half an hour, which no scenario reaches.
const FAR: u64 = 200;
const BELLS: u64 = 100;
/// The largest number of alarms that one command sets.
const AT_ONCE: u64 = 1_000;
/// The time from the setting of the first alarm to the time at which all are due.
const SOON: Duration = Duration::from_secs(8);
/// The time after that at which the others are due.
const LATER: Duration = Duration::from_secs(1_800);
/// The time in which the processes start and fire timers in spite of the fault.
const FIRED_WITHIN: Duration = Duration::from_secs(120);

/// Ten thousand timers become due at once. The replica that fires them dies before or after the commit of an effect, is killed
/// at a random moment, or is frozen past its lease while the other one takes over.
pub(in crate::fault_suite) async fn due_at_once(fixture: &mut Fixture) -> Result<()> {
    set(fixture, MANY).await?;
    for name in NODES {
        let fail = crash_point(fixture);
        fixture.start_with(name, Role::Alarms, |config| config.fail = fail)?;
    }
    let (until, mut deaths) = (Instant::now() + SOON + fixture.time(20.0), 0_u32);
    while Instant::now() < until && flows::count_due_soon(&fixture.source_probe).await? > 0 {
        fixture.wait(Duration::from_millis(200)).await;
        for name in NODES {
            if !fixture.node(name)?.runs() {
                fixture.wait_for_crash(name).await?;
                deaths += 1;
                let fail = crash_point(fixture);
                fixture.restart(name, fail)?;
            }
        }
        let name = NODES[fixture.random.usize(0..NODES.len())];
        match fixture.random.u8(0..20) {
            0 => {
                fixture.kill(name).await?;
                deaths += 1;
                let fail = crash_point(fixture);
                fixture.restart(name, fail)?;
            }
            1 => frozen(fixture, name).await?,
            _ => (),
        }
    }
    fixture.fact("killed replicas", f64::from(deaths));
    ensure!(deaths > 0, "no replica was killed while it fired timers");
    all_rung(fixture).await
}

/// The clocks of the replicas are an hour wrong, in both directions, and jump every three seconds, and the replica that fires is
/// killed. Timers go by the clock of the database.
pub(in crate::fault_suite) async fn wrong_clocks(fixture: &mut Fixture) -> Result<()> {
    set(fixture, SOME).await?;
    for (name, skew) in NODES.into_iter().zip([3_600, -3_600]) {
        fixture.start_with(name, Role::Alarms, |config| config.skew = skew)?;
    }
    for name in NODES.into_iter().cycle().take(4) {
        let time = fixture.time(4.0);
        fixture.wait(time).await;
        fixture.kill(name).await?;
        fixture.restart(name, None)?;
    }
    all_rung(fixture).await
}

/// Sets this number of alarms that are due soon, and those that are not.
async fn set(fixture: &mut Fixture, due: u64) -> Result<()> {
    let storage = Postgres::connect(&fixture.database).await?;
    let app = alarms::app().storage(storage).build()?;
    app.migrate().await?;
    let soon = Utc::now() + SOON;
    for first in (0..due).step_by(AT_ONCE as usize) {
        let count = AT_ONCE.min(due - first);
        app.send(SetAlarms { first, count, bells: BELLS, due: soon }).await?;
    }
    app.send(SetAlarms { first: due, count: FAR, bells: BELLS, due: soon + LATER }).await?;
    fixture.alarms = (due, FAR);
    Ok(())
}

fn crash_point(fixture: &mut Fixture) -> Option<Fail> {
    let point = if fixture.random.bool() { Point::BeforeFiring } else { Point::AfterFiring };
    Some(Fail::at(point, fixture.random.u64(100..2_500)))
}

/// Freezes a replica past its lease. Afterwards it goes on with the firings that it had begun.
async fn frozen(fixture: &mut Fixture, name: &str) -> Result<()> {
    if fixture.node(name)?.runs() {
        fixture.freeze(name)?;
        let lease = Duration::from_millis(fixture.template.lease);
        fixture.wait(lease * 2).await;
        fixture.thaw(name)?;
    }
    Ok(())
}

/// Starts the replicas again without crash points, and waits until no timer is due.
async fn all_rung(fixture: &mut Fixture) -> Result<()> {
    for name in NODES {
        fixture.kill(name).await?; // the next start is without a crash point
        fixture.restart_with(name, |config| config.fail = None)?;
    }
    let (began, mut moved) = (Instant::now(), Instant::now());
    let mut before = 0;
    loop {
        let due = flows::count_due_soon(&fixture.source_probe).await?;
        if due == 0 {
            return Ok(());
        }
        ensure!(began.elapsed() < FIRED_WITHIN, "timers are still fired after {FIRED_WITHIN:?}");
        let now = flows::count_log(&fixture.source_probe).await?;
        if now != before {
            (before, moved) = (now, Instant::now());
        }
        if moved.elapsed() > fixture.patience + SOON {
            fixture.violation(I9, format!("{due} timers are due, and none is fired"));
            return Ok(());
        }
        fixture.wait(Duration::from_millis(200)).await;
    }
}
