//! Timers that are due at once, fired by the job as fast as it can.
use super::Place;
use crate::subject::{Caller, Counters, Subject};
use anyhow::{Result, ensure};
use async_trait::async_trait;
use cqrs_core::{App, Command, Dep, HandlerResult, Schedule, app::TimerJob, handler, job::Step};
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// The number of timers of one call.
const TIMERS: u64 = 20_000;
/// The number of timers that one command sets.
const AT_ONCE: u64 = 1_000;
/// The time limit of one call.
const LIMIT: Duration = Duration::from_secs(60);

/// The number of commands that timers have sent.
#[derive(Default)]
struct Rings(AtomicU64);

#[derive(Clone, Serialize, Deserialize, Command)]
struct SetTimers {
    first: u64,
}
#[handler]
async fn set_timers(command: SetTimers, schedule: Schedule) -> HandlerResult<()> {
    for number in command.first..command.first + AT_ONCE {
        schedule.named(format!("ring/{number}")).after(Duration::ZERO, Ring { number })?;
    }
    Ok(())
}
/// A command that changes no aggregate, so that the row shows the price of its timer.
#[derive(Clone, Serialize, Deserialize, Command)]
struct Ring {
    number: u64,
}
#[handler]
async fn ring(_: Ring, rings: Dep<Rings>) -> HandlerResult<()> {
    rings.0.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// An app on a database of its own. The calls run its timer job, and no other job runs.
pub(crate) struct TimersFired<'a> {
    app: App,
    job: Arc<Mutex<TimerJob>>,
    rings: Arc<Rings>,
    place: &'a Place,
}
impl<'a> TimersFired<'a> {
    pub(crate) async fn start(place: &'a Place) -> Result<TimersFired<'a>> {
        let rings = Arc::new(Rings::default());
        let app = place.builder("timers").await?.discover_part(module_path!()).provide(rings.clone()).build()?;
        app.migrate().await?;
        let job = Arc::new(Mutex::new(app.timer_job()));
        Ok(TimersFired { app, job, rings, place })
    }
}
#[async_trait]
impl Subject for TimersFired<'_> {
    fn name(&self) -> &'static str {
        "framework"
    }
    /// Sets the timers, which is not measured.
    async fn callers(&self, count: usize, calls: u64) -> Result<Vec<Box<dyn Caller>>> {
        ensure!(count == 1 && calls == 1, "one call fires the timers of a run");
        for first in (0..TIMERS).step_by(AT_ONCE as usize) {
            self.app.send(SetTimers { first }).await?;
        }
        Ok(vec![Box::new(Firer { job: self.job.clone(), rings: self.rings.clone() })])
    }
    async fn counters(&self) -> Result<Counters> {
        self.place.counters().await
    }
}

struct Firer {
    job: Arc<Mutex<TimerJob>>,
    rings: Arc<Rings>,
}
#[async_trait]
impl Caller for Firer {
    async fn call(&mut self) -> Result<()> {
        let (mut job, mut fired) = (self.job.lock().await, 0);
        let (before, begun) = (self.rings.0.load(Ordering::Relaxed), Instant::now());
        while fired < TIMERS {
            ensure!(begun.elapsed() < LIMIT, "{fired} timers were fired within {LIMIT:?}");
            match job.step().await? {
                Step::Did(done) => fired += done as u64,
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
        let rings = self.rings.0.load(Ordering::Relaxed) - before;
        ensure!(rings == TIMERS, "{TIMERS} timers have sent {rings} commands");
        Ok(())
    }
    fn operations(&self) -> u64 {
        TIMERS
    }
}
