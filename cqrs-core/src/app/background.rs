//! The background jobs of a running app: each a step, called again and again until told to stop.
use super::{Running, Shared};
use crate::{
    Fault,
    log::{LogFollower, Relay, Retention, Step},
    topic::{Consumer, TopicFollower},
    transport::TransportError,
    world::{Task, backoff, within},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// An app that has joined its groups and does not run yet.
#[derive(Debug)]
pub struct Joined {
    pub(super) app: Running,
    pub(super) consumers: Vec<Consumer>,
    pub(super) followers: Vec<TopicFollower>,
}
impl Joined {
    /// Lets the background jobs run.
    pub fn start(self) -> Background {
        let own = self.app.own_jobs();
        Background::new(self.app.shared.clone()).with(own).with(self.jobs())
    }
    /// What needs the broker.
    fn jobs(self) -> Vec<Box<dyn Job>> {
        let Joined { app, consumers, followers } = self;
        let mut jobs: Vec<Box<dyn Job>> = Vec::new();
        jobs.extend(consumers.into_iter().map(|it| Box::new(it) as Box<dyn Job>));
        jobs.extend(followers.into_iter().map(|it| Box::new(it) as Box<dyn Job>));
        jobs.extend(app.relays().into_iter().map(|it| Box::new(it) as Box<dyn Job>));
        jobs
    }
}

pub(super) fn broker(error: TransportError) -> Fault {
    Fault::unavailable("the broker cannot be used").because(error)
}

/// The background jobs of a running app. Dropping it stops them at their next await; [`stop`](Background::stop) lets them finish.
#[derive(Debug)]
pub struct Background {
    stop: watch::Sender<bool>,
    tasks: Vec<Task>,
    shared: Arc<Shared>,
}
impl Background {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Background { stop: watch::Sender::new(false), tasks: Vec::new(), shared }
    }
    pub(super) fn with(mut self, jobs: Vec<Box<dyn Job>>) -> Self {
        let spawn = |job| {
            let stepping = keep_stepping(self.shared.clone(), job, self.stop.subscribe());
            self.shared.world.spawn(Box::pin(stepping))
        };
        self.tasks.extend(jobs.into_iter().map(spawn));
        self
    }
    /// Joins the groups as soon as the broker is there, and lets the rest run then.
    pub(super) fn with_later(mut self, app: Running) -> Self {
        let stop = self.stop.subscribe();
        self.tasks.push(self.shared.world.spawn(Box::pin(join_later(app, stop))));
        self
    }
    /// Lets every job finish what it does, for at most `patience`, then ends what is left. `true` when nothing was left.
    pub async fn stop(mut self, patience: Duration) -> bool {
        self.stop.send_replace(true);
        let world = self.shared.world.clone();
        let tasks = std::mem::take(&mut self.tasks);
        let aborts: Vec<_> = tasks.iter().map(Task::aborter).collect();
        let all = async {
            for task in tasks {
                task.ended().await;
            }
            self.shared.transport.close().await;
        };
        let done = within(&*world, patience, all).await.is_some();
        aborts.iter().for_each(|abort| abort());
        done
    }
    /// Whether every job is still there; a job only ends when told.
    pub fn is_healthy(&self) -> bool {
        self.tasks.iter().all(|task| !task.is_finished())
    }
}
impl Drop for Background {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.tasks.iter().for_each(Task::abort);
    }
}

/// A background job: steps, and what to do between and after them.
#[async_trait::async_trait]
pub(super) trait Job: Send {
    fn name(&self) -> String;
    async fn step(&mut self) -> Result<Step, crate::BoxError>;
    /// Whether the next step is work, to be finished also when told to stop; otherwise it may be a wait, and can be dropped.
    fn works(&self) -> bool {
        false
    }
    async fn finish(&mut self) {}
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
}
#[async_trait::async_trait]
impl Job for Relay {
    fn name(&self) -> String {
        format!("relay to `{}`", self.audience().0)
    }
    async fn step(&mut self) -> Result<Step, crate::BoxError> {
        Ok(Relay::step(self).await?)
    }
    /// A step that is dropped in the middle of moving the cursors leaves them where they were.
    fn works(&self) -> bool {
        self.drains()
    }
    async fn finish(&mut self) {
        self.drain().await;
    }
}
#[async_trait::async_trait]
impl Job for Retention {
    fn name(&self) -> String {
        "retention".to_owned()
    }
    async fn step(&mut self) -> Result<Step, crate::BoxError> {
        Ok(Retention::step(self).await?)
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

/// Other processes commit too, and tell nobody: look again this often.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Where this process is the only one, a look is only a safety net.
const LOOK_AGAIN_ALONE: Duration = Duration::from_secs(5);
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

async fn join_later(app: Running, stop: watch::Receiver<bool>) {
    let world = app.shared.world.clone();
    for attempt in 0.. {
        let joining = async {
            world.sleep(backoff(&*world, attempt, FIRST_WAIT, LONGEST_WAIT)).await;
            app.join_groups().await
        };
        let joined = tokio::select! {
            biased;
            () = told(stop.clone()) => return,
            joined = joining => joined,
        };
        match joined {
            Ok(joined) => {
                tracing::info!(service = app.service(), "the broker is there");
                let step = |job| keep_stepping(app.shared.clone(), job, stop.clone());
                futures_util::future::join_all(joined.jobs().into_iter().map(step)).await;
                return;
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(service = app.service(), attempt, error, "the broker is still down");
            }
        }
    }
}

async fn keep_stepping(shared: Arc<Shared>, mut job: Box<dyn Job>, stop: watch::Receiver<bool>) {
    let (world, storage) = (&*shared.world, &*shared.storage);
    let again = if storage.is_exclusive() { LOOK_AGAIN_ALONE } else { LOOK_AGAIN };
    let (mut failures, name) = (0, job.name());
    loop {
        if *stop.borrow() {
            break;
        }
        let works = job.works();
        let step = tokio::select! {
            biased;
            () = told(stop.clone()), if !works => break,
            step = job.step() => step,
        };
        let pause = async {
            match step {
                Ok(Step::Did(_)) => failures = 0,
                Ok(Step::Idle(upto)) => {
                    failures = 0;
                    let _ = within(world, again, storage.committed(upto)).await;
                }
                Err(error) => {
                    shared.meter.step_failed(&name);
                    tracing::warn!(
                        job = name,
                        failures,
                        error = &*error as &dyn std::error::Error,
                        "a step failed; again soon"
                    );
                    world.sleep(backoff(world, failures, FIRST_WAIT, LONGEST_WAIT)).await;
                    failures += 1;
                }
            }
        };
        tokio::select! {
            biased;
            () = told(stop.clone()) => break,
            () = pause => (),
        }
    }
    job.finish().await;
}

pub(super) async fn told(mut stop: watch::Receiver<bool>) {
    // A sender that is gone has nothing more to run for.
    let _ = stop.wait_for(|stop| *stop).await;
}
