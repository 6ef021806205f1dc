//! Steps of a process manager with its background jobs.
use super::Place;
use crate::subject::{Caller, Counters, Subject};
use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use cqrs_core::{App, StateStored, app::Background, process::Status};
use race::{Laps, Race, Runner, StartRaces};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// The number of instances that one call begins, together.
pub(super) const RACES: u64 = 100;
/// The number of commands of each instance, one after the other. Each is caused by a reaction, and causes one.
pub(super) const LAPS: u32 = 10;
/// The number of reactions of one call: one to the begin of each instance, and one to each of its commands.
pub(super) const STEPS: u64 = RACES * (LAPS as u64 + 1);
/// The time limit of one call.
const LIMIT: Duration = Duration::from_secs(60);
/// The pause between two looks at the progress.
const PAUSE: Duration = Duration::from_millis(1);

/// A process with a state, a deadline in each state, and one command in each reaction.
mod race {
    use super::LAPS;
    use cqrs_core::{
        Aggregate, Command, Dep, Event, Evolve, HandlerResult, Infallible, Process, Reaction, Recorded, Repo, handler,
        process,
    };
    use serde::{Deserialize, Serialize};
    use std::sync::atomic::{AtomicU64, Ordering};

    pub(super) const MODULE: &str = module_path!();
    pub(super) const NAME: &str = "benchmark.race";

    /// The number of laps that handlers have run.
    #[derive(Default)]
    pub(super) struct Laps(pub(super) AtomicU64);

    #[derive(Debug, Clone, Serialize, Deserialize, Event)]
    #[event(name = "race-started", version = 1)]
    pub(super) struct RaceStarted;
    #[derive(Clone, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "race", event = RaceStarted)]
    pub(super) struct Race {
        #[id]
        id: String,
    }
    impl Evolve<RaceStarted> for Race {
        fn create(id: String, _: &RaceStarted) -> Option<Self> {
            Some(Race { id })
        }
        fn apply(&mut self, _: &RaceStarted) {}
    }

    #[derive(Debug, Clone, Serialize, Deserialize, Event)]
    #[event(name = "lap-run", version = 1)]
    pub(super) struct LapRun;
    #[derive(Clone, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "runner", event = LapRun)]
    pub(super) struct Runner {
        #[id]
        id: String,
        laps: u32,
    }
    impl Evolve<LapRun> for Runner {
        fn create(id: String, _: &LapRun) -> Option<Self> {
            Some(Runner { id, laps: 1 })
        }
        fn apply(&mut self, _: &LapRun) {
            self.laps += 1;
        }
    }

    #[derive(Clone, Serialize, Deserialize, Command)]
    pub(super) struct StartRaces(pub(super) Vec<String>);
    #[handler]
    async fn start_races(StartRaces(ids): StartRaces, races: Repo<Race>) -> HandlerResult<()> {
        for id in ids {
            races.create(id, RaceStarted)?;
        }
        Ok(())
    }
    #[derive(Clone, Serialize, Deserialize, Command)]
    pub(super) struct RunLap(String);
    #[handler]
    async fn run_lap(RunLap(id): RunLap, runners: Repo<Runner>, laps: Dep<Laps>) -> HandlerResult<()> {
        match runners.find(&id).await? {
            Some(_) => drop(runners.update(&id, |_| Ok::<_, Infallible>(LapRun)).await?),
            None => drop(runners.create(id, LapRun)?),
        }
        laps.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    #[derive(Debug, Clone, Serialize, Deserialize, Process)]
    #[process(name = "benchmark.race", version = 1)]
    #[step(RunLap, irreversible)]
    pub(super) enum Racing {
        #[deadline(secs = 3_600, then = give_up)]
        Running { race: String, left: u32 },
    }
    fn running(race: String, left: u32) -> Reaction<Racing> {
        Reaction::to(Racing::Running { race: race.clone(), left }).send(RunLap(race))
    }
    fn give_up(_: Racing) -> Reaction<Racing> {
        Reaction::end()
    }
    #[process(key = aggregate_id, unexpected = "starts", then = "Running", from = "beginning")]
    fn started(event: &Recorded<RaceStarted>) -> Reaction<Racing> {
        running(event.aggregate_id.clone(), LAPS)
    }
    #[process(key = aggregate_id, when = "Running", unexpected = "error", then = "Running | end", from = "beginning")]
    fn lap_run(_: &Recorded<LapRun>, state: Racing) -> Reaction<Racing> {
        let Racing::Running { race, left } = state;
        if left <= 1 { Reaction::end() } else { running(race, left - 1) }
    }
}

/// An app with a process on a database of its own, and its background jobs.
pub(crate) struct ProcessSteps<'a> {
    app: App,
    background: Background,
    place: &'a Place,
    laps: Arc<Laps>,
}
impl<'a> ProcessSteps<'a> {
    pub(crate) async fn start(place: &'a Place) -> Result<ProcessSteps<'a>> {
        let laps = Arc::new(Laps::default());
        let builder = place.builder("process_steps").await?.discover_part(race::MODULE).provide(laps.clone());
        let builder = builder.aggregate(StateStored::<Race>::new()).aggregate(StateStored::<Runner>::new());
        let app = builder.build()?;
        let background = app.start().await?;
        Ok(ProcessSteps { app, background, place, laps })
    }
    /// Stops the background jobs.
    pub(crate) async fn stop(self) {
        self.background.stop(Duration::from_secs(5)).await;
    }
}
#[async_trait]
impl Subject for ProcessSteps<'_> {
    fn name(&self) -> &'static str {
        "process"
    }
    async fn callers(&self, count: usize, _calls: u64) -> Result<Vec<Box<dyn Caller>>> {
        ensure!(count == 1, "one caller begins {RACES} instances at a time");
        Ok(vec![Box::new(Starter { app: self.app.clone(), laps: self.laps.clone() })])
    }
    async fn counters(&self) -> Result<Counters> {
        self.place.counters().await
    }
}

struct Starter {
    app: App,
    laps: Arc<Laps>,
}
impl Starter {
    /// Returns whether every command was carried out and every reaction is committed.
    async fn is_done(&self, laps: u64) -> Result<bool> {
        if self.laps.0.load(Ordering::Relaxed) < laps {
            return Ok(false);
        }
        // A command that is still being committed has its timer, and an event without a reaction is behind the checkpoint.
        let timers = self.app.timers().counts(1).await?;
        Ok(timers.waiting + timers.overdue + timers.failed == 0 && self.app.lag().await?.is_empty())
    }
}
#[async_trait]
impl Caller for Starter {
    async fn call(&mut self) -> Result<()> {
        let laps = self.laps.0.load(Ordering::Relaxed) + RACES * u64::from(LAPS);
        let ids: Vec<_> = (0..RACES).map(|_| Uuid::now_v7().to_string()).collect();
        self.app.send(StartRaces(ids.clone())).await?;
        let begun = Instant::now();
        while !self.is_done(laps).await? {
            ensure!(begun.elapsed() < LIMIT, "the instances have not ended within {LIMIT:?}");
            tokio::time::sleep(PAUSE).await;
        }
        let last = ids.last().context("no instance was begun")?;
        let shown = self.app.processes().show(race::NAME, last, 1).await?.context("an instance is missing")?;
        let instance = shown.instance;
        let is_whole = instance.status == Status::Ended && instance.steps == u64::from(LAPS) + 1;
        ensure!(is_whole, "an instance is not as expected: {instance:?}");
        Ok(())
    }
    fn operations(&self) -> u64 {
        STEPS
    }
}
