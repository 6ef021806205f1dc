//! Fills a copy of a view with the projections of the view, compares it with the copy that serves, and switches.
use super::{
    CopyUse, Difference, RebuildEnd, RebuildError, RebuildProgress, Rebuilt, ViewProjection, note::Note, pace::Pace,
    view_lease::ViewLease,
};
use crate::{
    app::App,
    consumer::{LogFollower, TopicFollower},
    environment::backoff,
    error::{Fault, describe},
    event::Source,
    job::Step,
    position::Position,
    registry::reader,
    storage::{SwitchedReader, ViewSwitch, copy_of},
};
use futures_util::{FutureExt, future::BoxFuture};
use serde_json::Value;
use std::{collections::BTreeSet, time::Duration};

/// The number of keys that are compared at once.
const PAGE: usize = 500;
/// The number of times that a page with differences is read until both copies stand at the same position.
const TRIES: usize = 200;
/// The number of keys with differences that are named.
const NAMED: usize = 100;
/// The number of events from which a step shows that the copy is still behind.
const BEHIND: usize = 100;
/// The least number of failed steps in a row after which the rebuild ends.
const FAILURES: u32 = 30;
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The longest wait for records of a topic.
const TOPIC_WAIT: Duration = Duration::from_millis(100);
/// The time between two reports of the progress.
const REPORTED: Duration = Duration::from_secs(1);
/// The shortest part of a wait.
const TICK: Duration = Duration::from_millis(1);
/// The wait between two attempts to meet the copy that serves.
const MEETING: Duration = Duration::from_millis(5);

/// A copy that is being filled.
pub(super) struct Copying<'a> {
    app: &'a App,
    view: &'static str,
    from: u64,
    to: u64,
    note: Note,
    lease: ViewLease,
    /// The name of each projection of the own log, with the follower that fills the copy.
    log: Vec<(&'static str, LogFollower)>,
    topics: Vec<(&'static str, TopicFollower)>,
    options: Options,
    is_stopped: bool,
    started: Duration,
    reported: Option<Duration>,
    first_position: Option<u64>,
    pace: Pace,
    /// The uptime at which the throttle allows the next events.
    allowed: Duration,
    failures: u32,
    events: u64,
}
pub(super) struct Options {
    pub(super) throttle: Option<u32>,
    pub(super) is_at_full_speed: bool,
    pub(super) stop: BoxFuture<'static, ()>,
    pub(super) report: Box<dyn FnMut(&RebuildProgress) + Send>,
}
/// The condition under which the view is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SwitchIf {
    /// The copies are compared only.
    Unwanted,
    Compared,
    /// The broker still has all events that the copy needs.
    NothingExpired,
    /// Each event was applied to the copy.
    Complete,
}

/// The result of a comparison.
#[derive(Debug, Default)]
struct Comparison {
    compared: u64,
    different: u64,
    undecided: u64,
    differences: Vec<Difference>,
}

impl<'a> Copying<'a> {
    pub(super) async fn begin(
        app: &'a App,
        projections: &[ViewProjection],
        to: u64,
        note: Note,
        lease: ViewLease,
        options: Options,
    ) -> Result<Copying<'a>, RebuildError> {
        let (mut log, mut topics) = (Vec::new(), Vec::new());
        for projection in projections {
            let Some(follower) = projection.follower.of_copy(to) else { continue };
            match projection.source {
                Source::Log(_) => {
                    let mut follower = LogFollower::new(app.runtime.clone(), follower);
                    follower.read_ahead();
                    log.push((projection.name, follower));
                }
                Source::Topic { topic, .. } => {
                    let group = follower.group(app.service());
                    let subscribed = app.runtime.transport.subscribe(&group, &[topic]).await;
                    let subscription = match subscribed {
                        Ok(subscription) => subscription,
                        Err(error) => {
                            lease.release().await;
                            return Err(Fault::unavailable("the broker cannot be reached").because(error).into());
                        }
                    };
                    let mut follower = TopicFollower::new(app.runtime.clone(), follower, topic, subscription);
                    follower.wait_at_most(TOPIC_WAIT);
                    topics.push((projection.name, follower));
                }
            }
        }
        let started = app.runtime.environment.uptime();
        // A throttle is the caller's own choice of a pace.
        let pace = Pace::new(options.is_at_full_speed || options.throttle.is_some());
        Ok(Copying {
            app,
            view: projections.first().map_or("", |projection| projection.view),
            from: note.copies.serving,
            to,
            note,
            lease,
            log,
            topics,
            options,
            is_stopped: false,
            started,
            reported: None,
            first_position: None,
            pace,
            allowed: started,
            failures: 0,
            events: 0,
        })
    }
    /// Fills the copy, compares it, and switches to it.
    pub(super) async fn run(&mut self, switches: SwitchIf) -> Result<Rebuilt, RebuildError> {
        self.fill().await?;
        let compared = self.compare().await?;
        let parked = self.parked().await?;
        let is_incomplete = match switches {
            SwitchIf::Unwanted | SwitchIf::Compared => false,
            SwitchIf::NothingExpired => !self.note.copies.expired.is_empty(),
            SwitchIf::Complete => parked > 0 || !self.note.copies.expired.is_empty(),
        };
        let expired = self.note.copies.expired.clone();
        let end = match (self.is_stopped(), is_incomplete) {
            (true, _) => RebuildEnd::Stopped,
            (false, true) => RebuildEnd::Incomplete,
            (false, false) if switches == SwitchIf::Unwanted => RebuildEnd::Compared,
            (false, false) if self.switch().await? => RebuildEnd::Switched,
            (false, false) => RebuildEnd::Stopped,
        };
        let Comparison { compared, different, undecided, differences } = compared;
        let (copy, events) = (self.to, self.events);
        Ok(Rebuilt { copy, end, events, compared, different, undecided, differences, parked, expired })
    }
    /// Returns whether the caller wants the rebuild to end.
    fn is_stopped(&mut self) -> bool {
        self.is_stopped = self.is_stopped || self.options.stop.as_mut().now_or_never().is_some();
        self.is_stopped
    }
    /// Applies events until the copy has reached the one that serves, or until the rebuild is stopped.
    async fn fill(&mut self) -> Result<(), RebuildError> {
        while !self.is_stopped() {
            let (before, began) = (self.events, self.app.runtime.environment.uptime());
            let is_near = self.pass_up_to_live().await?;
            let has_reached = is_near && self.log.iter().all(|(_, follower)| follower.has_reached());
            if has_reached && self.has_caught_up_on_topics().await? {
                break;
            }
            self.progress().await?;
            match self.events - before {
                0 => self.wait(MEETING).await?,
                events => {
                    self.hold_back(events).await?;
                    self.give_way(began).await?;
                }
            }
        }
        self.store_checkpoints().await;
        self.reported = None;
        self.progress().await
    }
    /// Runs one step of each follower, up to the position of the copy that serves. So both copies can be compared at one
    /// position, and this one stays behind when the projections of the service do not run.
    async fn pass_up_to_live(&mut self) -> Result<bool, RebuildError> {
        let live: Vec<_> = self.log.iter().map(|(name, _)| reader(name)).collect();
        let live = self.app.storage().checkpoints(&live).await?;
        let now = self.app.runtime.environment.uptime();
        let filled = self.log.iter().map(|(_, follower)| follower.position().0).min();
        if let (Some(live), Some(filled)) = (live.iter().copied().max(), filled) {
            self.pace.saw(now, live, filled);
        }
        for ((_, follower), live) in self.log.iter_mut().zip(live) {
            follower.read_up_to(Some(Position(live)));
            follower.limit_batch(self.pace.step(now));
        }
        self.pass().await
    }
    /// Runs one step of each follower. Returns whether none of them had many events.
    async fn pass(&mut self) -> Result<bool, RebuildError> {
        self.lease.keep().await?;
        // A switch of an earlier run may come late, after its connection was lost.
        if self.app.storage().serving_copy(self.view).await? != self.from {
            return Err(RebuildError::Busy);
        }
        let environment = self.app.runtime.environment.clone();
        let (mut is_near, mut pause) = (true, None);
        let mut steps = Vec::new();
        for (_, follower) in &mut self.log {
            steps.push(follower.step().await);
        }
        for (_, follower) in &mut self.topics {
            steps.push(follower.step().await);
        }
        self.note_expired().await?;
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
                    if self.failures >= self.most_failures() {
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
    /// Returns the number of failed steps in a row after which the rebuild ends. An event is tried less often before it is parked.
    fn most_failures(&self) -> u32 {
        FAILURES.max(self.app.runtime.retry_policy.attempts.saturating_mul(2))
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
            // A clock may count microseconds, so a wait for the rest of one would never end.
            let part = left.min(self.app.runtime.lease / 3).min(REPORTED).max(TICK);
            environment.sleep(part).await;
            self.lease.keep().await?;
        }
        Ok(())
    }
    /// Pauses after a step, so that commands beside the rebuild are not slowed down.
    async fn give_way(&mut self, began: Duration) -> Result<(), RebuildError> {
        let now = self.app.runtime.environment.uptime();
        match self.pace.pause(now, now.saturating_sub(began)) {
            Duration::ZERO => Ok(()),
            pause => self.wait(pause).await,
        }
    }
    /// Waits until the throttle allows the next events.
    async fn hold_back(&mut self, events: u64) -> Result<(), RebuildError> {
        let Some(throttle) = self.options.throttle else { return Ok(()) };
        let now = self.app.runtime.environment.uptime();
        let cost = Duration::from_secs_f64(events as f64 / f64::from(throttle.max(1)));
        // A time without events does not allow more of them afterwards.
        self.allowed = self.allowed.max(now.saturating_sub(cost)) + cost;
        self.wait(self.allowed.saturating_sub(now)).await
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
        let progress = RebuildProgress {
            view: self.view.to_owned(),
            copy: self.to,
            events: self.events,
            rate,
            position,
            end,
            left,
        };
        (self.options.report)(&progress);
        Ok(())
    }
    /// Returns the checkpoints of the copy that serves, of this one, and of the former one after a switch.
    fn checkpoints(&self) -> Vec<SwitchedReader> {
        let of_log = self.log.iter().map(|(name, _)| self.reader(name));
        of_log.chain(self.partitions()).collect()
    }
    /// Returns the same for the assigned partitions.
    fn partitions(&self) -> Vec<SwitchedReader> {
        let mut all = Vec::new();
        for (name, follower) in &self.topics {
            let SwitchedReader { live, filled, kept } = self.reader(name);
            let [live, filled, kept] = [live, filled, kept].map(|reader| follower.checkpoints_of(&reader).into_iter());
            let partitions = live.zip(filled).zip(kept);
            all.extend(partitions.map(|((live, filled), kept)| SwitchedReader { live, filled, kept }));
        }
        all
    }
    fn reader(&self, name: &str) -> SwitchedReader {
        SwitchedReader {
            live: reader(name),
            filled: reader(copy_of(name, self.to)),
            kept: reader(copy_of(name, self.from)),
        }
    }
    fn readers(&self) -> Vec<SwitchedReader> {
        let log = self.log.iter().map(|(name, _)| *name);
        let topics = self.topics.iter().map(|(name, _)| *name);
        log.chain(topics).map(|name| self.reader(name)).collect()
    }
    async fn store_checkpoints(&mut self) {
        for (_, follower) in &mut self.log {
            follower.store_checkpoint().await;
        }
    }
    /// Returns whether no checkpoint of the copy is behind that of the copy that serves.
    async fn has_caught_up(&mut self) -> Result<bool, RebuildError> {
        self.store_checkpoints().await;
        let of_log = self.log.iter().map(|(name, _)| self.reader(name)).collect();
        Ok(self.are_reached(of_log).await? && self.has_caught_up_on_topics().await?)
    }
    async fn has_caught_up_on_topics(&mut self) -> Result<bool, RebuildError> {
        let partitions = self.partitions();
        Ok(self.has_all_partitions().await? && self.are_reached(partitions).await?)
    }
    async fn are_reached(&mut self, readers: Vec<SwitchedReader>) -> Result<bool, RebuildError> {
        let (live, filled): (Vec<_>, Vec<_>) = readers.into_iter().map(|of| (of.live, of.filled)).unzip();
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
            .map(|(name, follower)| {
                let live = reader(name);
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
    /// Compares the values of the two copies. A page is compared in one snapshot. Where it has differences, it is read again
    /// until both copies stand at one position; a key that has once had equal values meanwhile is not different.
    async fn compare(&mut self) -> Result<Comparison, RebuildError> {
        let copies = [copy_of(self.view, self.from), copy_of(self.view, self.to)];
        let mut comparison = Comparison::default();
        let mut after: Option<String> = None;
        let (mut tries, mut open, mut equal) = (0, BTreeSet::new(), BTreeSet::new());
        while !self.is_stopped() {
            self.lease.keep().await?;
            let (live, filled): (Vec<_>, Vec<_>) =
                self.checkpoints().into_iter().map(|of| (of.live, of.filled)).unzip();
            let page = self.app.storage().compare_copies(copies, [&live, &filled], after.as_deref(), PAGE).await?;
            let mut different: Vec<_> = page.different.into_iter().filter(|(_, a, b)| !is_same(a, b)).collect();
            let keys: BTreeSet<String> = different.iter().map(|(key, ..)| key.clone()).collect();
            equal.extend(open.difference(&keys).cloned());
            open = keys;
            different.retain(|(key, ..)| !equal.contains(key));
            let is_exact = page.first_at == page.second_at;
            if !different.is_empty() && !is_exact && tries < TRIES {
                tries += 1;
                self.wait(MEETING).await?;
                self.pass_up_to_live().await?;
                self.store_checkpoints().await;
                continue;
            }
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
            (tries, open, equal) = (0, BTreeSet::new(), BTreeSet::new());
        }
        Ok(comparison)
    }
    /// Switches to the copy at a moment at which it is not behind. Returns `false` when it is stopped before.
    async fn switch(&mut self) -> Result<bool, RebuildError> {
        // A newer program may have started since, and its values would be replaced by those of this one.
        if !self.app.is_newest_started().await? {
            return Err(RebuildError::NotNewest);
        }
        // Another program may have written some values, without the entries of an index that this one has added.
        while !self.is_stopped() && self.app.fill_copy(self.view, self.to).await? {
            self.lease.keep().await?;
        }
        self.log.iter_mut().for_each(|(_, follower)| follower.read_up_to(None));
        while !self.is_stopped() {
            if self.has_caught_up().await? {
                self.lease.renew().await?;
                let (view, from, to) = (self.view.to_owned(), self.from, self.to);
                let switch = ViewSwitch { view, from, to, checkpoints: self.checkpoints(), readers: self.readers() };
                let switched = match self.app.storage().switch_view(&switch).await {
                    // The switch may have been committed, or a deadlock has ended it.
                    Err(fault) if fault.is_transient() && self.failures < self.most_failures() => {
                        self.failures += 1;
                        self.app.storage().serving_copy(self.view).await? == self.to
                    }
                    switched => switched?,
                };
                if switched {
                    self.app.runtime.copies.forget(self.view);
                    self.app.runtime.view_changed(self.view);
                    self.note_switch().await;
                    return Ok(true);
                }
            }
            self.pass().await?;
            self.wait(MEETING).await?;
        }
        Ok(false)
    }
    /// Notes that the former copy is kept. If this fails, the next reader of the note finds the switch in the view itself.
    async fn note_switch(&mut self) {
        self.note.copies.serving = self.to;
        let kept = Some((self.from, CopyUse::Former));
        if let Err(error) = self.note.write(&**self.app.storage(), kept).await {
            let error = describe(&error);
            tracing::debug!(
                view = self.view,
                error,
                "the note about a switched view was not stored; it is stored later"
            );
        }
    }
    /// Notes the records that the broker no longer has, so that the runs after this one report them as well.
    async fn note_expired(&mut self) -> Result<(), RebuildError> {
        let expired = self.topics.iter().flat_map(|(_, follower)| follower.expired());
        let expired = expired.map(|(partition, offsets)| (partition.to_string(), offsets.end));
        let known = &self.note.copies.expired;
        let new: Vec<_> = expired.filter(|of| !known.contains(of)).collect();
        if new.is_empty() {
            return Ok(());
        }
        self.note.copies.expired.extend(new);
        self.note.write(&**self.app.storage(), self.note.copies.other).await
    }
    /// Returns the number of parked messages of the copy.
    async fn parked(&mut self) -> Result<u64, RebuildError> {
        let readers = self.readers();
        let counts = self.app.storage().parked_counts(usize::MAX).await?;
        let parked = counts.into_iter().filter(|(of, _)| readers.iter().any(|reader| reader.filled == *of));
        Ok(parked.map(|(_, count)| count).sum())
    }
    /// Stores the reached positions and gives the followers and the lease up.
    pub(super) async fn end(mut self) {
        for (_, follower) in &mut self.log {
            follower.release().await;
        }
        for (_, follower) in &mut self.topics {
            follower.release().await;
        }
        self.lease.release().await;
    }
}

/// Returns whether two stored values are equal. The order of fields makes no difference.
fn is_same(first: &Option<Vec<u8>>, second: &Option<Vec<u8>>) -> bool {
    let (Some(first), Some(second)) = (first, second) else { return first == second };
    let parse = |bytes: &Vec<u8>| serde_json::from_slice::<Value>(bytes).ok();
    first == second || parse(first).is_some_and(|value| parse(second) == Some(value))
}
