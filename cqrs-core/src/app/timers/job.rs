//! The job that fires the timers which are due, in one replica at a time.
use super::{
    firing::{Attempt, Clock, Runner},
    line::{Fired, Line, fire_in_order},
};
use crate::{
    Timestamp,
    app::App,
    app::background::Job,
    environment::{Environment, backoff},
    error::{Fault, describe},
    job::Step,
    process::{DEADLINE, deadline_of},
    registry::{ProcessDefinition, Role, RunStored},
    runtime::Runtime,
    storage::{Batch, CommitError, Firing, Timer, TimerChange, TimerWrite},
};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

/// The reader whose lease the job holds.
const LEASE: &str = "timers";
/// The largest number of timers in one read.
const PAGE: usize = 1_000;
/// The number of keys whose timers are fired at the same time.
const KEYS: usize = 64;
/// The longest wait for a timer that another process has set.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// The longest wait where this process is the only writer. Its own timers wake the job, and a clock that is set does not.
const EXCLUSIVE_POLL_INTERVAL: Duration = Duration::from_secs(5);
/// The longest wait in a program that sets no timers. A former program may have left some.
const RARE_INTERVAL: Duration = Duration::from_secs(30);
/// The interval at which a replica without the lease tries to take it.
const LEASE_INTERVAL: Duration = Duration::from_secs(1);
/// The shortest time between two reads while commands run that set timers.
const READ_INTERVAL: Duration = Duration::from_millis(10);
/// The time for which the lease is left to a replica with a newer program, which tries to take it at each `LEASE_INTERVAL`.
const HANDOVER: Duration = Duration::from_secs(3);
/// The shortest time between two handovers. After a rollback there is no such replica, and the other timers wait in vain.
const HANDOVER_INTERVAL: Duration = Duration::from_secs(60);
/// The difference between the database's clock and the time of this process from which the clock counts as set.
const CLOCK_WAS_SET: Duration = Duration::from_secs(5);

impl App {
    /// Returns the job that fires timers. [`App::start`] runs it; a caller that starts the parts by itself runs its steps.
    pub fn timer_job(&self) -> TimerJob {
        let stored = self.registrations.iter().filter_map(|registration| match &registration.role {
            Role::Handler { request, run_stored: Some(run), .. } => Some((*request, *run)),
            _ => None,
        });
        TimerJob {
            owner: self.runtime.environment.id().to_string(),
            runtime: self.runtime.clone(),
            commands: stored.collect(),
            processes: self.process_definitions().map(|process| (process.name, Arc::new(process))).collect(),
            sets_timers: !self.runtime.recurring.is_empty()
                || self.registrations.iter().any(|registration| registration.needs().has_timers()),
            is_new: true,
            leased_until: Duration::ZERO,
            left_until: Duration::ZERO,
            next_handover: Duration::ZERO,
            clock: None,
            jump: None,
            failures: HashMap::new(),
            lines: VecDeque::new(),
            keys: HashSet::new(),
            firing: FuturesUnordered::new(),
            last_read: Duration::ZERO,
            next_read: Duration::ZERO,
            has_more: false,
        }
    }
}

/// The background job that fires timers, in one replica at a time.
///
/// Timers of one key are fired one after the other, and those of different keys concurrently. The batch of a command ends its timer,
/// so a replica that has lost the lease without noticing fires none a second time.
#[must_use = "it does nothing unless `step` is called"]
pub struct TimerJob {
    runtime: Arc<Runtime>,
    /// The holder of this job's lease.
    owner: String,
    /// The commands that this program handles.
    commands: HashMap<&'static str, RunStored>,
    /// The processes of this program.
    processes: HashMap<&'static str, Arc<ProcessDefinition>>,
    /// Set if a function of this program sets timers.
    sets_timers: bool,
    /// The first step of a program that sets no timers reads nothing.
    is_new: bool,
    /// The uptime until which the lease need not be renewed.
    leased_until: Duration,
    /// The uptime until which the lease is left to a newer program.
    left_until: Duration,
    /// The uptime before which the lease is not left to a newer program again.
    next_handover: Duration,
    /// The last reading of the database's clock, with the uptime.
    clock: Option<(Timestamp, Duration)>,
    /// The readings between which the clock was last set forward.
    jump: Option<(Timestamp, Timestamp)>,
    failures: HashMap<Firing, Failures>,
    /// The due timers of each key that were read and are not begun.
    lines: VecDeque<Line>,
    /// The keys whose timers wait in `lines` or are being fired.
    keys: HashSet<String>,
    /// The lines whose timers are being fired. They go on while a step is polled.
    firing: FuturesUnordered<BoxFuture<'static, Fired>>,
    /// The uptime of the last read of due timers.
    last_read: Duration,
    /// The uptime of the next read while timers are being fired.
    next_read: Duration,
    /// Set if the last read has left due timers behind.
    has_more: bool,
}

/// The failed attempts to fire a timer.
#[derive(Debug, Default, Clone, Copy)]
struct Failures {
    /// The attempts that count.
    counted: u32,
    all: u32,
    /// The uptime of the next attempt.
    next: Duration,
}

impl TimerJob {
    /// Fires the timers that are due, or returns the time until the next one. It does not wait for a slow command: that one goes on
    /// in the next steps, beside the timers of other keys.
    ///
    /// # Errors
    /// Fails when the database fails. Call it again.
    pub async fn step(&mut self) -> Result<Step, Fault> {
        if !self.sets_timers && std::mem::take(&mut self.is_new) {
            return Ok(Step::Paused(RARE_INTERVAL));
        }
        let begun = self.begin().await;
        if self.firing.is_empty() {
            return begun.map(Step::Paused);
        }
        let wait = begun.unwrap_or_else(|fault| {
            warn(&fault);
            POLL_INTERVAL
        });
        // The lease is renewed by the next step.
        let wait = wait.min(POLL_INTERVAL).min(self.runtime.lease / 3).max(Duration::from_millis(1));
        match self.some_fired(wait).await {
            Ok(done) => Ok(Step::Did(done)),
            Err(fault) if self.firing.is_empty() => Err(fault),
            // After an error there is a pause, in which no firing would go on.
            Err(fault) => {
                warn(&fault);
                Ok(Step::Did(0))
            }
        }
    }
    /// Begins to fire timers that are due, and returns the longest time until the next read.
    async fn begin(&mut self) -> Result<Duration, Fault> {
        if self.left_until > self.uptime() || !self.holds_lease().await? {
            self.forget_lines();
            return Ok(if self.sets_timers { LEASE_INTERVAL } else { RARE_INTERVAL });
        }
        if self.has_to_read() {
            let wait = self.read().await?;
            self.next_read = self.last_read + wait;
        }
        while self.firing.len() < KEYS
            && let Some(line) = self.lines.pop_front()
        {
            self.firing.push(fire_in_order(self.runtime.clone(), line).boxed());
        }
        let until_read = self.next_read.saturating_sub(self.uptime());
        Ok(if self.lines.is_empty() { until_read } else { POLL_INTERVAL })
    }
    /// Returns whether due timers have to be read now. While timers are being fired, each read returns these as well, so there are
    /// few reads.
    fn has_to_read(&self) -> bool {
        let is_idle = self.firing.is_empty() || (self.has_more && self.firing.len() <= KEYS / 4);
        self.lines.is_empty() && (is_idle || self.next_read <= self.uptime())
    }
    /// Forgets the timers that are not begun. Another replica fires them.
    fn forget_lines(&mut self) {
        for line in self.lines.drain(..) {
            self.keys.remove(&line.key);
        }
    }
    /// Waits until timers were fired, or until there may be other ones to fire. Returns the number of fired ones.
    async fn some_fired(&mut self, wait: Duration) -> Result<usize, Fault> {
        let runtime = self.runtime.clone();
        let mut fired = tokio::select! {
            biased;
            fired = self.firing.next() => fired,
            () = runtime.timers_set.notified() => {
                self.next_read = self.next_read.min(self.last_read + READ_INTERVAL);
                None
            }
            () = runtime.environment.sleep(wait) => None,
        };
        let mut done = 0;
        while let Some(Fired { key, attempts }) = fired {
            self.keys.remove(&key);
            for (timer, attempt) in attempts {
                self.runtime.meter.timer(&timer.command, attempt.outcome());
                done += usize::from(attempt.is_done());
                self.note(&timer, attempt).await?;
            }
            fired = self.firing.next().now_or_never().flatten();
        }
        Ok(done)
    }
    /// Returns what carries out the command of a timer, if this program has it.
    fn runner(&self, timer: &Timer) -> Option<Runner> {
        if timer.command == DEADLINE {
            let process = self.processes.get(&*deadline_of(&timer.body)?)?;
            return Some(Runner::Deadline(process.clone()));
        }
        self.commands.get(&*timer.command).copied().map(Runner::Command)
    }
    fn uptime(&self) -> Duration {
        self.runtime.environment.uptime()
    }
    /// Takes or renews the lease. Where this is the only process there is none.
    async fn holds_lease(&mut self) -> Result<bool, Fault> {
        let (storage, lease) = (&self.runtime.storage, self.runtime.lease);
        let now = self.uptime();
        if storage.is_exclusive() || now < self.leased_until {
            return Ok(true);
        }
        let is_held = storage.lease(LEASE, &self.owner, lease).await?.is_some();
        self.leased_until = if is_held { now + lease / 3 } else { Duration::ZERO };
        Ok(is_held)
    }
    /// Reads the due timers that do not wait for another attempt, and returns the longest time until the next read.
    async fn read(&mut self) -> Result<Duration, Fault> {
        let (mut after, mut found, mut held) = (None, Vec::new(), BTreeSet::new());
        let mut wait = match (self.sets_timers, self.runtime.storage.is_exclusive()) {
            (false, _) => RARE_INTERVAL,
            (true, true) => EXCLUSIVE_POLL_INTERVAL,
            (true, false) => POLL_INTERVAL,
        };
        loop {
            let due = self.runtime.storage.due_timers(after, PAGE).await?;
            let clock = self.read_clock(due.now);
            self.last_read = clock.uptime;
            self.has_more = due.timers.len() >= PAGE;
            after = due.timers.last().map(Timer::firing);
            for timer in due.timers {
                match self.failures.get(&timer.firing()) {
                    _ if self.keys.contains(&timer.key) || held.contains(&timer.key) => (),
                    Some(failures) if failures.next > clock.uptime => {
                        wait = wait.min(failures.next - clock.uptime);
                        held.insert(timer.key);
                    }
                    _ => found.push(timer),
                }
            }
            if found.is_empty() && self.has_more {
                continue;
            }
            // A timer that is gone is forgotten: its name has another one, or none.
            if found.is_empty() && held.is_empty() && self.firing.is_empty() {
                self.failures.clear();
            }
            self.line_up(found, clock);
            let until_next = due.next.map(|next| (next - due.now).to_std().unwrap_or_default());
            return Ok(until_next.map_or(wait, |next| wait.min(next)));
        }
    }
    /// Puts due timers into the lines of their keys.
    fn line_up(&mut self, timers: Vec<Timer>, clock: Clock) {
        let mut places = HashMap::<String, usize>::new();
        for timer in timers {
            let place = *places.entry(timer.key.clone()).or_insert(self.lines.len());
            if place == self.lines.len() {
                self.keys.insert(timer.key.clone());
                self.lines.push_back(Line { key: timer.key.clone(), timers: Vec::new(), clock });
            }
            let runner = self.runner(&timer);
            self.lines[place].timers.push((timer, runner));
        }
    }
    /// Compares the database's clock with the time of this process since the last reading.
    fn read_clock(&mut self, now: Timestamp) -> Clock {
        let uptime = self.uptime();
        if let Some((before, at)) = self.clock.replace((now, uptime)) {
            let passed = chrono::TimeDelta::from_std(uptime.saturating_sub(at)).unwrap_or_default();
            let ahead = (now - before) - passed;
            if ahead.abs().to_std().is_ok_and(|difference| difference > CLOCK_WAS_SET) {
                let seconds = ahead.num_seconds();
                self.runtime.meter.clock_was_set();
                tracing::warn!(
                    seconds,
                    "the database's clock was set, or its machine was suspended; timers go by the new time"
                );
                if seconds > 0 {
                    self.jump = Some((before, now));
                }
            }
        }
        Clock { now, uptime, jump: self.jump }
    }
    /// Notes a failed attempt. After the last one the timer waits for an operator.
    async fn note(&mut self, timer: &Timer, attempt: Attempt) -> Result<(), Fault> {
        let (runtime, place) = (self.runtime.clone(), timer.firing());
        let policy = runtime.retry_policy;
        let mut failures = self.failures.remove(&place).unwrap_or_default();
        let (error, is_last) = match attempt {
            Attempt::Fired | Attempt::Refused | Attempt::Gone => return Ok(()),
            Attempt::Transient(error) => (error, false),
            Attempt::Failed(error) => {
                failures.counted += 1;
                let is_last = failures.counted >= policy.attempts;
                (error, is_last)
            }
            Attempt::Hopeless(error) => (error, true),
            Attempt::Left(error) => {
                self.leave_to_newer_program().await?;
                (error, false)
            }
            Attempt::Unreadable(error) => {
                self.leave_to_newer_program().await?;
                // A program does not declare its commands, so a newer one may be unknown. Where this is the only one, there is none.
                let is_newest = runtime.is_newest_program().await?;
                failures.counted += u32::from(is_newest);
                let is_tried = failures.counted >= policy.attempts || runtime.storage.is_exclusive();
                (error, is_newest && is_tried)
            }
        };
        let (name, command) = (&timer.name, &timer.command);
        if is_last {
            let change = TimerChange::Update { due: timer.due, error: Some(error.clone()) };
            let write = TimerWrite { name: name.clone(), fired: Some(place), change };
            return match runtime.storage.commit(Batch { timers: vec![write], ..Batch::default() }).await {
                Ok(_) => {
                    tracing::error!(
                        timer = name,
                        command,
                        error,
                        "the command of a timer cannot be handled; it waits for an operator with the later timers of its key"
                    );
                    Ok(())
                }
                Err(CommitError::Moved(_)) => Ok(()),
                Err(CommitError::Fault(fault)) => Err(fault),
                Err(refused) => Err(Fault::internal("the failure of a timer cannot be stored").because(refused)),
            };
        }
        tracing::warn!(timer = name, command, failures = failures.all, error, "a timer cannot be fired; trying again");
        failures.next = self.uptime() + backoff(&*runtime.environment, failures.all, policy.first, policy.longest);
        failures.all += 1;
        self.failures.insert(place, failures);
        Ok(())
    }
    /// Gives the lease up for a moment, so that a replica with a newer program takes it.
    async fn leave_to_newer_program(&mut self) -> Result<(), Fault> {
        let now = self.uptime();
        if self.runtime.storage.is_exclusive() || now < self.next_handover {
            return Ok(());
        }
        (self.left_until, self.next_handover) = (now + HANDOVER, now + HANDOVER_INTERVAL);
        self.release().await
    }
    async fn release(&mut self) -> Result<(), Fault> {
        self.leased_until = Duration::ZERO;
        match self.runtime.storage.is_exclusive() {
            true => Ok(()),
            false => self.runtime.storage.release(LEASE, &self.owner).await,
        }
    }
}

fn warn(fault: &Fault) {
    let error = describe(fault);
    tracing::warn!(error, "a step of the job that fires timers failed; the commands that run go on");
}

#[async_trait::async_trait]
impl Job for TimerJob {
    fn name(&self) -> String {
        "timers".to_owned()
    }
    async fn step(&mut self) -> Result<Step, crate::BoxError> {
        Ok(TimerJob::step(self).await?)
    }
    /// A step never waits for a timer.
    fn works(&self) -> bool {
        true
    }
    async fn paused(&mut self, environment: &dyn Environment, time: Duration) {
        let runtime = self.runtime.clone();
        tokio::select! {
            biased;
            () = runtime.timers_set.notified() => (),
            () = environment.sleep(time) => (),
        }
    }
    fn reset(&mut self) {
        // Timers that were being fired are still stored, unless their commits have ended them.
        self.lines.clear();
        self.keys.clear();
        self.firing.clear();
    }
    async fn finish(&mut self) {
        self.forget_lines();
        // Each line ends after the command that runs.
        while !self.firing.is_empty() {
            if let Err(fault) = self.some_fired(POLL_INTERVAL).await {
                warn(&fault);
            }
        }
        // The lease expires by itself, too.
        let _ = self.release().await;
    }
}
impl fmt::Debug for TimerJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerJob").field("owner", &self.owner).finish_non_exhaustive()
    }
}
