//! Rebuilds of a view: alone, and beside commands.
use super::CounterService;
use crate::{
    growth::model::{CounterEvent, commands::Append},
    subject::{Caller, Counters, Subject},
};
use anyhow::{Context, Result, bail, ensure};
use async_trait::async_trait;
use cqrs_core::{
    App,
    app::{Rebuild, RebuildEnd, RebuildError, Rebuilt},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::{Mutex, oneshot, watch},
    task::JoinHandle,
};

/// The view that is rebuilt.
const VIEW: &str = "count";
/// The time limit of the first step of a rebuild.
const LIMIT: Duration = Duration::from_secs(30);

/// A whole rebuild: it fills the copy, compares it with the one that serves, and switches. One call is one rebuild, and its
/// operations are the events.
pub(crate) struct WholeRebuild<'a>(pub(crate) &'a CounterService);
#[async_trait]
impl Subject for WholeRebuild<'_> {
    fn name(&self) -> &'static str {
        "rebuild"
    }
    async fn callers(&self, count: usize, _calls: u64) -> Result<Vec<Box<dyn Caller>>> {
        ensure!(count == 1, "one rebuild of a view runs at a time");
        drop_other_copy(&self.0.app).await?;
        Ok(vec![Box::new(Rebuilder(self.0.app.clone()))])
    }
    async fn counters(&self) -> Result<Counters> {
        self.0.counters().await
    }
}

struct Rebuilder(App);
#[async_trait]
impl Caller for Rebuilder {
    async fn call(&mut self) -> Result<()> {
        let rebuilt = self.0.rebuild(VIEW).run().await?;
        let is_whole = rebuilt.end == RebuildEnd::Switched && rebuilt.events >= CounterService::EVENTS;
        ensure!(is_whole && rebuilt.different == 0 && rebuilt.parked == 0, "a wrong rebuild: {rebuilt:?}");
        Ok(())
    }
    fn operations(&self) -> u64 {
        CounterService::EVENTS
    }
}

/// The rebuild that runs beside commands, if one runs.
#[derive(Default)]
pub(crate) struct RebuildBeside(Mutex<Option<Running>>);

struct Running {
    begun: Instant,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<Rebuilt, RebuildError>>,
}
impl RebuildBeside {
    /// Begins a rebuild, and returns a flag that is set when it ends.
    async fn begin(&self, app: &App) -> Result<Arc<AtomicBool>> {
        let (stop, stopped) = oneshot::channel();
        let (begun, mut has_begun) = watch::channel(false);
        let has_ended = Arc::new(AtomicBool::new(false));
        // It is stopped before it would switch, so that the next run begins with the same copies.
        let rebuild: Rebuild = app.rebuild(VIEW).compare_only().until(async move { drop(stopped.await) });
        let rebuild = rebuild.on_progress(move |progress| {
            begun.send_replace(progress.events > 0);
        });
        let started = Instant::now();
        let sets = has_ended.clone();
        let task = tokio::spawn(async move {
            let ended = rebuild.run().await;
            sets.store(true, Ordering::Relaxed);
            ended
        });
        let first = tokio::time::timeout(LIMIT, has_begun.wait_for(|begun| *begun)).await;
        if first.context("the rebuild does not begin")?.is_err() {
            let ended = task.await??;
            bail!("the rebuild has ended before its first step: {ended:?}");
        }
        *self.0.lock().await = Some(Running { begun: started, stop, task });
        Ok(has_ended)
    }
    /// Stops the rebuild, waits for its end, and prints its speed: commands beside a slow rebuild are not slowed down much. It does
    /// nothing when no rebuild runs.
    pub(crate) async fn end(&self) -> Result<()> {
        let Some(Running { begun, stop, task }) = self.0.lock().await.take() else { return Ok(()) };
        // The rebuild may have ended by itself.
        let _ = stop.send(());
        let rebuilt = task.await??;
        ensure!(rebuilt.different == 0 && rebuilt.parked == 0, "a wrong rebuild: {rebuilt:?}");
        eprint!(" (rebuild: {:.0} events a second)", rebuilt.events as f64 / begun.elapsed().as_secs_f64());
        Ok(())
    }
}

/// Commands on a service, beside a rebuild of its view or without one.
pub(crate) struct Commands<'a> {
    pub(crate) service: &'a CounterService,
    pub(crate) rebuild: &'a RebuildBeside,
    pub(crate) is_beside: bool,
}
#[async_trait]
impl Subject for Commands<'_> {
    fn name(&self) -> &'static str {
        if self.is_beside { "beside a rebuild" } else { "without a rebuild" }
    }
    async fn callers(&self, count: usize, _calls: u64) -> Result<Vec<Box<dyn Caller>>> {
        self.rebuild.end().await?;
        drop_other_copy(&self.service.app).await?;
        let mut counters = Vec::new();
        for _ in 0..count {
            counters.push(self.service.create_counter().await?);
        }
        let has_ended = match self.is_beside {
            true => Some(self.rebuild.begin(&self.service.app).await?),
            false => None,
        };
        let caller = |counter| {
            let (app, rebuild_has_ended) = (self.service.app.clone(), has_ended.clone());
            Box::new(Appender { app, counter, rebuild_has_ended }) as Box<dyn Caller>
        };
        Ok(counters.into_iter().map(caller).collect())
    }
    async fn counters(&self) -> Result<Counters> {
        self.service.counters().await
    }
}

struct Appender {
    app: App,
    counter: String,
    /// `None` without a rebuild.
    rebuild_has_ended: Option<Arc<AtomicBool>>,
}
#[async_trait]
impl Caller for Appender {
    async fn call(&mut self) -> Result<()> {
        let event = CounterEvent::Counted { by: 1 };
        self.app.send(Append { id: self.counter.clone(), event }).await?;
        let has_ended = self.rebuild_has_ended.as_ref().is_some_and(|ended| ended.load(Ordering::Relaxed));
        ensure!(!has_ended, "the rebuild ended before the run: measure with shorter runs (--seconds)");
        Ok(())
    }
}

/// Drops the copy of the view that does not serve, if there is one.
async fn drop_other_copy(app: &App) -> Result<()> {
    match app.drop_other_copy(VIEW).await {
        Ok(_) | Err(RebuildError::NoOtherCopy) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
