//! The background jobs of a running app. Each job is a step that is called repeatedly until the app stops.
use crate::{
    app::App,
    app::purge::Purge,
    consumer::{Consumer, LogFollower, QueryFollower, TopicFollower},
    environment::{Environment, Task, backoff, within},
    error::{Fault, describe},
    job::Step,
    relay::Relay,
    runtime::Runtime,
    transport::{Audience, TransportError},
};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use std::{convert::Infallible, future::pending, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::sync::watch;

/// An app that has joined its consumer groups and does not run yet.
#[must_use = "nothing runs before `start` is called on it"]
#[derive(Debug)]
pub struct Joined {
    pub(super) app: App,
    pub(super) consumers: Vec<Consumer>,
    pub(super) followers: Vec<TopicFollower>,
}
impl Joined {
    /// Starts the background jobs.
    pub fn start(self) -> Background {
        let (own, app, relays) = (self.app.own_jobs(), self.app.clone(), self.app.relays());
        let known = relays.iter().map(|relay| relay.audience().clone()).collect();
        let background = Background::new(app.runtime.clone()).with(own).with(self.jobs(relays));
        background.with_relays_to_late_groups(app, known)
    }
    /// Returns the jobs that need the broker.
    fn jobs(self, relays: Vec<Relay>) -> Vec<Box<dyn Job>> {
        let Joined { app, consumers, followers } = self;
        let mut jobs: Vec<Box<dyn Job>> = Vec::new();
        jobs.extend(consumers.into_iter().map(|consumer| Box::new(consumer) as Box<dyn Job>));
        jobs.extend(followers.into_iter().map(|follower| Box::new(follower) as Box<dyn Job>));
        jobs.extend(app.topic_watch().map(|watch| Box::new(watch) as Box<dyn Job>));
        jobs.extend(relays.into_iter().map(|relay| Box::new(relay) as Box<dyn Job>));
        jobs
    }
}

pub(super) fn broker(error: TransportError) -> Fault {
    Fault::unavailable("the broker cannot be used").because(error)
}

/// The background jobs of a running app.
///
/// Dropping it stops the jobs at their next await; [`stop`](Background::stop) lets them finish.
#[must_use = "dropping it stops every background job"]
#[derive(Debug)]
pub struct Background {
    stop: watch::Sender<bool>,
    tasks: Vec<Task>,
    runtime: Arc<Runtime>,
}
impl Background {
    pub(super) fn new(runtime: Arc<Runtime>) -> Self {
        runtime.stopping.send_replace(false);
        Background { stop: watch::Sender::new(false), tasks: Vec::new(), runtime }
    }
    pub(super) fn with(mut self, jobs: Vec<Box<dyn Job>>) -> Self {
        let spawn = |job| {
            let stepping = keep_stepping(self.runtime.clone(), job, self.stop.subscribe());
            self.runtime.environment.spawn(Box::pin(stepping))
        };
        self.tasks.extend(jobs.into_iter().map(spawn));
        self
    }
    /// Adds the jobs that need the broker, once the broker can be reached and the groups are joined.
    pub(super) fn with_broker_jobs_later(mut self, app: App) -> Self {
        let stop = self.stop.subscribe();
        self.tasks.push(self.runtime.environment.spawn(Box::pin(join_later(app, stop))));
        self
    }
    /// Adds a task that starts a relay for each group that joins the transport later. Only a transport without a broker
    /// has such groups: those of apps in the same process.
    fn with_relays_to_late_groups(mut self, app: App, known: Vec<Audience>) -> Self {
        if app.publishes() && known != [Audience::broker()] {
            let stop = self.stop.subscribe();
            self.tasks.push(self.runtime.environment.spawn(Box::pin(relay_to_late_groups(app, known, stop))));
        }
        self
    }
    /// Stops the jobs. Each job finishes its current work; after `timeout` the remaining jobs are aborted.
    ///
    /// Returns `true` when every job finished in time.
    pub async fn stop(mut self, timeout: Duration) -> bool {
        self.runtime.stopping.send_replace(true);
        self.stop.send_replace(true);
        let environment = self.runtime.environment.clone();
        let tasks = std::mem::take(&mut self.tasks);
        let aborts: Vec<_> = tasks.iter().map(Task::aborter).collect();
        let all = async {
            for task in tasks {
                task.ended().await;
            }
            self.runtime.transport.close().await;
        };
        let done = within(&*environment, timeout, all).await.is_some();
        aborts.iter().for_each(|abort| abort());
        done
    }
    /// Returns whether every job still runs and its last step succeeded. A job that fails or panics is tried again.
    pub fn is_healthy(&self) -> bool {
        self.tasks.iter().all(|task| !task.is_finished()) && self.runtime.jobs.error().is_none()
    }
}
impl Drop for Background {
    fn drop(&mut self) {
        self.runtime.stopping.send_replace(true);
        self.stop.send_replace(true);
        self.tasks.iter().for_each(Task::abort);
    }
}

/// A background job.
#[async_trait::async_trait]
pub(super) trait Job: Send {
    fn name(&self) -> String;
    async fn step(&mut self) -> Result<Step, crate::BoxError>;
    /// Returns whether the next step does work that must finish during a shutdown. Any other step may be waiting and
    /// can be dropped.
    fn works(&self) -> bool {
        false
    }
    /// Waits until the next step is due, after the job knows that there is something to do.
    async fn due(&mut self) {}
    /// Waits while the job is paused.
    async fn paused(&mut self, environment: &dyn Environment, time: Duration) {
        environment.sleep(time).await;
    }
    async fn finish(&mut self) {}
    /// Brings the job into a defined state after a panic in the middle of a step.
    fn reset(&mut self) {}
}
#[async_trait::async_trait]
impl Job for LogFollower {
    fn name(&self) -> String {
        LogFollower::name(self).to_owned()
    }
    async fn step(&mut self) -> Result<Step, crate::BoxError> {
        Ok(LogFollower::step(self).await?)
    }
    fn works(&self) -> bool {
        true
    }
    async fn due(&mut self) {
        LogFollower::due(self).await;
    }
    async fn finish(&mut self) {
        self.release().await;
    }
    fn reset(&mut self) {
        LogFollower::reset(self);
    }
}
#[async_trait::async_trait]
impl Job for QueryFollower {
    fn name(&self) -> String {
        QueryFollower::name(self).to_owned()
    }
    async fn step(&mut self) -> Result<Step, crate::BoxError> {
        Ok(QueryFollower::step(self).await?)
    }
    fn works(&self) -> bool {
        true
    }
    async fn due(&mut self) {
        QueryFollower::due(self).await;
    }
    fn reset(&mut self) {
        QueryFollower::reset(self);
    }
}
#[async_trait::async_trait]
impl Job for TopicFollower {
    fn name(&self) -> String {
        TopicFollower::name(self)
    }
    async fn step(&mut self) -> Result<Step, crate::BoxError> {
        Ok(TopicFollower::step(self).await?)
    }
    fn works(&self) -> bool {
        self.has_received()
    }
    async fn finish(&mut self) {
        self.release().await;
    }
}
#[async_trait::async_trait]
impl Job for Relay {
    fn name(&self) -> String {
        format!("relay to `{}`", self.audience().0)
    }
    async fn step(&mut self) -> Result<Step, crate::BoxError> {
        Ok(Relay::step(self).await?)
    }
    /// A step that is dropped while it moves the checkpoints leaves them unmoved.
    fn works(&self) -> bool {
        self.drains()
    }
    async fn due(&mut self) {
        Relay::due(self).await;
    }
    async fn finish(&mut self) {
        self.drain().await;
    }
    fn reset(&mut self) {
        Relay::reset(self);
    }
}
#[async_trait::async_trait]
impl Job for Purge {
    fn name(&self) -> String {
        "retention".to_owned()
    }
    async fn step(&mut self) -> Result<Step, crate::BoxError> {
        Ok(Purge::step(self).await?)
    }
}
#[async_trait::async_trait]
impl Job for Consumer {
    fn name(&self) -> String {
        format!("group {}", self.group())
    }
    async fn step(&mut self) -> Result<Step, crate::BoxError> {
        Ok(Consumer::step(self).await?)
    }
    async fn finish(&mut self) {
        self.drain().await;
    }
}

/// The poll interval of an idle job. Commits of other processes do not wake it.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// The poll interval where this process is the only writer. Its own commits wake the job, so polling is only a safety
/// net.
const EXCLUSIVE_POLL_INTERVAL: Duration = Duration::from_secs(5);
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

async fn join_later(app: App, stop: watch::Receiver<bool>) {
    let environment = app.runtime.environment.clone();
    for attempt in 0.. {
        let joining = async {
            environment.sleep(backoff(&*environment, attempt, FIRST_WAIT, LONGEST_WAIT)).await;
            app.join_groups().await
        };
        let joined = tokio::select! {
            biased;
            () = stopped(stop.clone()) => return,
            joined = joining => joined,
        };
        match joined {
            Ok(joined) => {
                tracing::info!(service = app.service(), "connected to the broker");
                let spawn = |job| environment.spawn(Box::pin(keep_stepping(app.runtime.clone(), job, stop.clone())));
                let tasks: Vec<_> = joined.jobs(app.relays()).into_iter().map(spawn).collect();
                let _aborted = AbortedOnDrop(tasks.iter().map(Task::aborter).collect());
                for task in tasks {
                    task.ended().await;
                }
                return;
            }
            Err(error) => {
                let error = describe(&error);
                tracing::warn!(service = app.service(), attempt, error, "the broker is still down; trying again");
            }
        }
    }
}

/// Ends tasks with the task that has spawned them.
struct AbortedOnDrop<F: Fn()>(Vec<F>);
impl<F: Fn()> Drop for AbortedOnDrop<F> {
    fn drop(&mut self) {
        self.0.iter().for_each(|abort| abort());
    }
}

/// The interval at which an app looks for groups that have joined after its start.
const LATE_GROUP_INTERVAL: Duration = Duration::from_millis(250);

/// `known` are the audiences that have a relay. They are those of the start and not of the task's first poll, since a
/// group that joins in between has no relay yet.
async fn relay_to_late_groups(app: App, mut known: Vec<Audience>, stop: watch::Receiver<bool>) {
    let mut relaying = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(stop.clone()) => break,
            Some(()) = relaying.next() => (),
            () = app.runtime.environment.sleep(LATE_GROUP_INTERVAL) => (),
        }
        for audience in app.audiences() {
            if !known.contains(&audience) {
                tracing::info!(service = app.service(), group = audience.0, "a group has joined; relaying to it");
                let relay = Box::new(app.relay_to(audience.clone()));
                relaying.push(keep_stepping(app.runtime.clone(), relay, stop.clone()));
                known.push(audience);
            }
        }
    }
    while relaying.next().await.is_some() {}
}

/// Steps a job until the app stops. After a panic, which is a fault of the framework or of a driver, the job goes on
/// from what is stored.
async fn keep_stepping(runtime: Arc<Runtime>, mut job: Box<dyn Job>, stop: watch::Receiver<bool>) {
    let (name, mut failures) = (job.name(), 0);
    runtime.jobs.failed(&name, 0);
    loop {
        let stepping = until_stopped(&runtime, &mut *job, &name, &mut failures, &stop);
        if AssertUnwindSafe(stepping).catch_unwind().await.is_ok() {
            break;
        }
        failed(&runtime, &name, &mut failures);
        tracing::error!(job = name, failures, "a background job panicked; it goes on from what is stored");
        job.reset();
        let wait = backoff(&*runtime.environment, failures - 1, FIRST_WAIT, LONGEST_WAIT);
        let _ = within(&*runtime.environment, wait, stopped(stop.clone())).await;
        if *stop.borrow() {
            break;
        }
    }
    runtime.jobs.ended(&name);
}
fn failed(runtime: &Runtime, job: &str, failures: &mut u32) {
    *failures = failures.saturating_add(1);
    runtime.meter.job_failed(job);
    runtime.jobs.failed(job, *failures);
}

async fn until_stopped(
    runtime: &Runtime,
    job: &mut dyn Job,
    name: &str,
    failures: &mut u32,
    stop: &watch::Receiver<bool>,
) {
    let (environment, storage) = (&*runtime.environment, &*runtime.storage);
    let poll_interval = if storage.is_exclusive() { EXCLUSIVE_POLL_INTERVAL } else { POLL_INTERVAL };
    loop {
        if *stop.borrow() {
            break;
        }
        let works = job.works();
        // A step can wait for a broker without end, and then it does not fail any more.
        let waits = async {
            environment.sleep(LONGEST_WAIT).await;
            runtime.jobs.failed(name, 0);
            pending::<Infallible>().await
        };
        let step = tokio::select! {
            biased;
            () = stopped(stop.clone()), if !works => break,
            step = job.step() => step,
            never = waits, if *failures > 0 && !works => match never {},
        };
        if step.is_ok() && std::mem::take(failures) > 0 {
            runtime.jobs.failed(name, 0);
        }
        let pause = async {
            match step {
                Ok(Step::Did(_)) => job.due().await,
                Ok(Step::Idle(upto)) => {
                    runtime.recent_log.wait_for_entry(storage, environment, upto, poll_interval).await;
                    job.due().await;
                }
                Ok(Step::IdleFor(upto, longest)) => {
                    let entry = runtime.recent_log.wait_for_entry(storage, environment, upto, poll_interval);
                    let _ = within(environment, longest, entry).await;
                    job.due().await;
                }
                Ok(Step::Paused(time)) => job.paused(environment, time).await,
                Err(error) => {
                    let (before, error) = (*failures, describe(&*error));
                    failed(runtime, name, failures);
                    tracing::warn!(
                        job = name,
                        failures = before,
                        error,
                        "a step of a background job failed; trying again"
                    );
                    environment.sleep(backoff(environment, before, FIRST_WAIT, LONGEST_WAIT)).await;
                }
            }
        };
        tokio::select! {
            biased;
            () = stopped(stop.clone()) => break,
            () = pause => (),
        }
    }
    job.finish().await;
}

pub(super) async fn stopped(mut stop: watch::Receiver<bool>) {
    // A dropped sender means that the app was dropped, which stops the job as well.
    let _ = stop.wait_for(|stop| *stop).await;
}
