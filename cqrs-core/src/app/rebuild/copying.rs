//! Fills a copy of a view with the projections of the view, compares it with the copy that serves, and switches.
use super::{Difference, RebuildError, RebuildProgress, lease::Held};
use crate::{
    app::App,
    consumer::{Follower, LogFollower, TopicFollower},
    environment::{backoff, within},
    error::Fault,
    event::Source,
    job::Step,
    position::Position,
    registry::{Projection, reader},
    storage::{SwitchedReader, ViewSwitch, copy_of},
};
use futures_util::{FutureExt, future::BoxFuture};
use serde_json::Value;
use std::time::Duration;

/// The number of keys that are compared at once.
const PAGE: usize = 500;
/// The number of times that a page with differences is read until both copies stand at the same position.
const TRIES: usize = 200;
/// The number of keys with differences that are named.
const NAMED: usize = 100;
/// The number of events from which a step shows that the copy is still behind.
const BEHIND: usize = 100;
/// The number of failed steps in a row after which the rebuild ends. It is more than an event is tried before it is parked.
const FAILURES: u32 = 30;
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The longest wait for records of a topic.
const TOPIC_WAIT: Duration = Duration::from_millis(100);
/// The time between two reports of the progress.
const REPORTED: Duration = Duration::from_secs(1);
/// The wait between two attempts to meet the copy that serves.
const MEETING: Duration = Duration::from_millis(5);

/// A copy that is being filled.
pub(super) struct Copying<'a> {
    app: &'a App,
    view: String,
    from: u64,
    to: u64,
    pub(super) held: Held,
    /// Each projection of the own log, with the follower that fills the copy.
    log: Vec<(Projection, LogFollower)>,
    topics: Vec<(Projection, TopicFollower)>,
    throttle: Option<u32>,
    stop: BoxFuture<'static, ()>,
    is_stopped: bool,
    report: Box<dyn FnMut(&RebuildProgress) + Send>,
    started: Duration,
    reported: Option<Duration>,
    first_position: Option<u64>,
    failures: u32,
    pub(super) events: u64,
}

/// The result of a comparison.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) compared: u64,
    pub(super) different: u64,
    pub(super) undecided: u64,
    pub(super) differences: Vec<Difference>,
}

impl<'a> Copying<'a> {
    pub(super) async fn begin(
        app: &'a App,
        projections: &[Projection],
        (from, to): (u64, u64),
        held: Held,
        throttle: Option<u32>,
        stop: BoxFuture<'static, ()>,
        report: Box<dyn FnMut(&RebuildProgress) + Send>,
    ) -> Result<Copying<'a>, RebuildError> {
        let (mut log, mut topics) = (Vec::new(), Vec::new());
        for projection in projections {
            let (name, view) = (copy_of(projection.name, to), copy_of(projection.view, to));
            let follower = Follower::View(Projection { name, view, ..*projection });
            match projection.source {
                Source::Log(_) => log.push((*projection, LogFollower::new(app.runtime.clone(), follower))),
                Source::Topic { topic, .. } => {
                    let group = follower.group(app.service());
                    let subscribed = app.runtime.transport.subscribe(&group, &[topic]).await;
                    let subscription = subscribed
                        .map_err(|error| Fault::unavailable("the broker cannot be reached").because(error))?;
                    topics.push((*projection, TopicFollower::new(app.runtime.clone(), follower, topic, subscription)));
                }
            }
        }
        let view = projections.first().map_or("", |projection| projection.view).to_owned();
        let started = app.runtime.environment.uptime();
        Ok(Copying {
            app,
            view,
            from,
            to,
            held,
            log,
            topics,
            throttle,
            stop,
            is_stopped: false,
            report,
            started,
            reported: None,
            first_position: None,
            failures: 0,
            events: 0,
        })
    }
    /// Returns whether the caller wants the rebuild to end.
    pub(super) fn is_stopped(&mut self) -> bool {
        self.is_stopped = self.is_stopped || self.stop.as_mut().now_or_never().is_some();
        self.is_stopped
    }
    /// Applies events until the copy has passed the one that serves, or until it is stopped.
    pub(super) async fn fill(&mut self) -> Result<(), RebuildError> {
        while !self.is_stopped() {
            let is_near = self.pass().await?;
            self.progress().await?;
            self.hold_back().await?;
            if is_near && self.has_caught_up().await? {
                break;
            }
        }
        self.reported = None;
        self.progress().await
    }
    /// Runs one step of each follower. Returns whether none of them had many events.
    async fn pass(&mut self) -> Result<bool, RebuildError> {
        self.held.keep().await?;
        let environment = self.app.runtime.environment.clone();
        let (mut is_near, mut pause) = (true, None);
        let mut steps = Vec::new();
        for (_, follower) in &mut self.log {
            steps.push(follower.step().await);
        }
        for (_, follower) in &mut self.topics {
            if follower.has_received() {
                steps.push(follower.step().await);
            } else {
                // A step that only waits can be dropped.
                steps.extend(within(&*environment, TOPIC_WAIT, follower.step()).await);
            }
        }
        for step in steps {
            match step {
                Ok(Step::Did(events)) => {
                    self.events += events as u64;
                    is_near = is_near && events < BEHIND;
                    self.failures = 0;
                }
                Ok(Step::Idle(_) | Step::IdleFor(..)) => self.failures = 0,
                Ok(Step::Paused(time)) => pause = Some(time),
                Err(fault) => {
                    self.failures += 1;
                    if self.failures >= FAILURES {
                        return Err(fault.into());
                    }
                    pause = Some(backoff(&*environment, self.failures, FIRST_WAIT, LONGEST_WAIT));
                }
            }
        }
        if let Some(pause) = pause {
            self.wait(pause).await?;
        }
        Ok(is_near)
    }
    /// Waits, and keeps the lease meanwhile.
    async fn wait(&mut self, time: Duration) -> Result<(), RebuildError> {
        let environment = self.app.runtime.environment.clone();
        let until = environment.uptime() + time;
        while !self.is_stopped() {
            let left = until.saturating_sub(environment.uptime());
            if left.is_zero() {
                break;
            }
            environment.sleep(left.min(self.app.runtime.lease / 3).min(REPORTED)).await;
            self.held.keep().await?;
        }
        Ok(())
    }
    /// Waits until as many events a second are applied as the throttle allows.
    async fn hold_back(&mut self) -> Result<(), RebuildError> {
        let Some(throttle) = self.throttle else { return Ok(()) };
        let due = Duration::from_secs_f64(self.events as f64 / f64::from(throttle.max(1)));
        let passed = self.app.runtime.environment.uptime().saturating_sub(self.started);
        self.wait(due.saturating_sub(passed)).await
    }
    /// Reports the progress, once a second and at the end.
    async fn progress(&mut self) -> Result<(), RebuildError> {
        let now = self.app.runtime.environment.uptime();
        if self.reported.is_some_and(|last| now.saturating_sub(last) < REPORTED) {
            return Ok(());
        }
        self.reported = Some(now);
        let end = self.app.storage().high_water_mark().await?;
        let position = self.log.iter().map(|(_, follower)| follower.position()).min();
        let (seconds, mut left) = (now.saturating_sub(self.started).as_secs_f64(), None);
        if let Some(Position(position)) = position {
            let passed = position.saturating_sub(*self.first_position.get_or_insert(position));
            if passed > 0 {
                let per_position = seconds / passed as f64;
                left = Some(Duration::from_secs_f64(per_position * end.0.saturating_sub(position) as f64));
            }
        }
        let rate = if seconds > 0.0 { self.events as f64 / seconds } else { 0.0 };
        let progress =
            RebuildProgress { view: self.view.clone(), copy: self.to, events: self.events, rate, position, end, left };
        (self.report)(&progress);
        Ok(())
    }
    /// Returns the checkpoints of the copy that serves, of this one, and of the former one after a switch.
    fn checkpoints(&self) -> Vec<SwitchedReader> {
        let mut all = Vec::new();
        for (projection, _) in &self.log {
            all.push(self.reader(projection));
        }
        for (projection, follower) in &self.topics {
            let SwitchedReader { live, filled, kept } = self.reader(projection);
            let [live, filled, kept] = [live, filled, kept].map(|reader| follower.checkpoints_of(&reader).into_iter());
            let partitions = live.zip(filled).zip(kept);
            all.extend(partitions.map(|((live, filled), kept)| SwitchedReader { live, filled, kept }));
        }
        all
    }
    fn reader(&self, projection: &Projection) -> SwitchedReader {
        SwitchedReader {
            live: reader(projection.name),
            filled: reader(copy_of(projection.name, self.to)),
            kept: reader(copy_of(projection.name, self.from)),
        }
    }
    fn readers(&self) -> Vec<SwitchedReader> {
        let log = self.log.iter().map(|(projection, _)| projection);
        let topics = self.topics.iter().map(|(projection, _)| projection);
        log.chain(topics).map(|projection| self.reader(projection)).collect()
    }
    /// Returns whether no checkpoint of the copy is behind that of the copy that serves.
    async fn has_caught_up(&mut self) -> Result<bool, RebuildError> {
        for (_, follower) in &mut self.log {
            follower.store_checkpoint().await;
        }
        if !self.has_all_partitions().await? {
            return Ok(false);
        }
        let (live, filled): (Vec<_>, Vec<_>) = self.checkpoints().into_iter().map(|of| (of.live, of.filled)).unzip();
        let live = self.app.storage().checkpoints(&live).await?;
        let filled = self.app.storage().checkpoints(&filled).await?;
        Ok(live.into_iter().zip(filled).all(|(live, filled)| filled >= live))
    }
    /// Returns whether the broker has assigned every partition from which the live projections have read. It may do so one
    /// by one.
    async fn has_all_partitions(&mut self) -> Result<bool, RebuildError> {
        let generation = |checkpoint: &str| checkpoint.split_once('#').map(|(_, generation)| generation.to_owned());
        let storage = self.app.storage().clone();
        let assigned: Vec<_> = self
            .topics
            .iter()
            .map(|(projection, follower)| {
                let live = reader(projection.name);
                (follower.checkpoints_of(&live), format!("{live}/"))
            })
            .collect();
        for (assigned, below) in assigned {
            let Some(first) = assigned.first() else { return Ok(false) };
            let current = generation(first);
            let read = storage.checkpoints_below(&below).await?;
            let is_missing =
                |(known, at): &(String, u64)| *at > 0 && generation(known) == current && !assigned.contains(known);
            if read.iter().any(is_missing) {
                return Ok(false);
            }
        }
        Ok(true)
    }
    /// Compares the values of the two copies. A page is compared in one snapshot; where it has differences, both copies stand at
    /// the same position.
    pub(super) async fn compare(&mut self) -> Result<Comparison, RebuildError> {
        let copies = [copy_of(&self.view, self.from), copy_of(&self.view, self.to)];
        let mut comparison = Comparison::default();
        let (mut after, mut tries): (Option<String>, usize) = (None, 0);
        while !self.is_stopped() {
            self.held.keep().await?;
            let (live, filled): (Vec<_>, Vec<_>) =
                self.checkpoints().into_iter().map(|of| (of.live, of.filled)).unzip();
            let page = self.app.storage().compare_copies(copies, [&live, &filled], after.as_deref(), PAGE).await?;
            let different: Vec<_> = page.different.into_iter().filter(|(_, a, b)| !is_same(a, b)).collect();
            let is_exact = page.first_at == page.second_at;
            if !different.is_empty() && !is_exact && tries < TRIES {
                tries += 1;
                self.pass().await?;
                self.has_caught_up().await?;
                self.wait(MEETING).await?;
                continue;
            }
            tries = 0;
            comparison.compared += page.keys as u64;
            match is_exact {
                true => comparison.different += different.len() as u64,
                false => comparison.undecided += different.len() as u64,
            }
            for (key, live, rebuilt) in different.into_iter().filter(|_| is_exact) {
                if comparison.differences.len() < NAMED {
                    let (in_live, in_rebuilt) = (live.is_some(), rebuilt.is_some());
                    comparison.differences.push(Difference { key, in_live, in_rebuilt });
                }
            }
            if page.keys < PAGE {
                break;
            }
            after = page.last;
        }
        Ok(comparison)
    }
    /// Switches to the copy at a moment at which it is not behind. Returns `false` when it is stopped before.
    pub(super) async fn switch(&mut self) -> Result<bool, RebuildError> {
        while !self.is_stopped() {
            if self.has_caught_up().await? {
                self.held.renew().await?;
                let (view, from, to) = (self.view.clone(), self.from, self.to);
                let switch = ViewSwitch { view, from, to, checkpoints: self.checkpoints(), readers: self.readers() };
                let switched = match self.app.storage().switch_view(&switch).await {
                    // The switch may have been committed, or a deadlock has ended it.
                    Err(fault) if fault.is_transient() && self.failures < FAILURES => {
                        self.failures += 1;
                        self.app.storage().serving_copy(&self.view).await? == self.to
                    }
                    switched => switched?,
                };
                if switched {
                    self.app.runtime.copies.forget(&self.view);
                    return Ok(true);
                }
            }
            self.pass().await?;
            self.wait(MEETING).await?;
        }
        Ok(false)
    }
    /// Returns the number of parked messages of the copy, and the records that the broker has no more, by partition.
    pub(super) async fn incomplete(&mut self) -> Result<(u64, Vec<(String, u64)>), RebuildError> {
        let readers = self.readers();
        let counts = self.app.storage().parked_counts(usize::MAX).await?;
        let parked = counts.into_iter().filter(|(of, _)| readers.iter().any(|reader| reader.filled == *of));
        let expired = self.topics.iter().flat_map(|(_, follower)| follower.expired());
        let expired = expired.map(|(partition, offsets)| (partition.to_string(), offsets.end));
        Ok((parked.map(|(_, count)| count).sum(), expired.collect()))
    }
    /// Stores the reached positions and gives the followers and the lease up.
    pub(super) async fn end(mut self) {
        for (_, follower) in &mut self.log {
            follower.release().await;
        }
        for (_, follower) in &mut self.topics {
            follower.release().await;
        }
        self.held.release().await;
    }
}

/// Returns whether two stored values are equal. The order of fields makes no difference.
fn is_same(first: &Option<Vec<u8>>, second: &Option<Vec<u8>>) -> bool {
    let (Some(first), Some(second)) = (first, second) else { return first == second };
    let parse = |bytes: &Vec<u8>| serde_json::from_slice::<Value>(bytes).ok();
    first == second || parse(first).is_some_and(|value| parse(second) == Some(value))
}
