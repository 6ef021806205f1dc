//! The job that fires the timers which are due, in one replica at a time.
use super::firing::{Attempt, Clock, Runner, fire};
use crate::{
    Timestamp,
    app::App,
    app::background::Job,
    environment::{Environment, backoff},
    error::Fault,
    job::Step,
    process::{DEADLINE, deadline_of},
    registry::{ProcessDefinition, Role, RunStored},
    runtime::Runtime,
    storage::{Batch, CommitError, Firing, Timer, TimerChange, TimerWrite},
};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

/// The reader whose lease the job holds.
const LEASE: &str = "timers";
/// The largest number of timers in one step.
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
            pauses_until: Duration::ZERO,
            clock: None,
            jump: None,
            failures: HashMap::new(),
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
    pauses_until: Duration,
    /// The last reading of the database's clock, with the uptime.
    clock: Option<(Timestamp, Duration)>,
    /// The readings between which the clock was last set forward.
    jump: Option<(Timestamp, Timestamp)>,
    failures: HashMap<Firing, Failures>,
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
    /// Fires the timers that are due, or returns the time until the next one.
    ///
    /// # Errors
    /// Fails when the database fails. Call it again.
    pub async fn step(&mut self) -> Result<Step, Fault> {
        if !self.sets_timers && std::mem::take(&mut self.is_new) {
            return Ok(Step::Paused(RARE_INTERVAL));
        }
        if self.pauses_until > self.uptime() || !self.holds_lease().await? {
            return Ok(Step::Paused(if self.sets_timers { LEASE_INTERVAL } else { RARE_INTERVAL }));
        }
        let (clock, timers, wait) = self.ready().await?;
        if timers.is_empty() {
            return Ok(Step::Paused(wait));
        }
        let attempts = self.fire_all(timers, clock).await;
        let mut done = 0;
        for (timer, attempt) in attempts {
            self.runtime.meter.timer(&timer.command, attempt.outcome());
            done += usize::from(attempt.is_done());
            self.note(&timer, attempt).await?;
        }
        Ok(Step::Did(done))
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
    /// Returns the due timers that do not wait for another attempt, and the longest wait if there are none.
    async fn ready(&mut self) -> Result<(Clock, Vec<Timer>, Duration), Fault> {
        let (mut after, mut found, mut held) = (None, Vec::new(), BTreeSet::new());
        let mut wait = match (self.sets_timers, self.runtime.storage.is_exclusive()) {
            (false, _) => RARE_INTERVAL,
            (true, true) => EXCLUSIVE_POLL_INTERVAL,
            (true, false) => POLL_INTERVAL,
        };
        loop {
            let due = self.runtime.storage.due_timers(after, PAGE).await?;
            let clock = self.read_clock(due.now);
            let is_full = due.timers.len() >= PAGE;
            after = due.timers.last().map(Timer::firing);
            for timer in due.timers {
                match self.failures.get(&timer.firing()) {
                    Some(failures) if failures.next > clock.uptime => {
                        wait = wait.min(failures.next - clock.uptime);
                        held.insert(timer.key);
                    }
                    _ if held.contains(&timer.key) => (),
                    _ => found.push(timer),
                }
            }
            if found.is_empty() && is_full {
                continue;
            }
            // A timer that is gone is forgotten: its name has another one, or none.
            if found.is_empty() && held.is_empty() {
                self.failures.clear();
            }
            let until_next = due.next.map(|next| (next - due.now).to_std().unwrap_or_default());
            return Ok((clock, found, until_next.map_or(wait, |next| wait.min(next))));
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
    /// Fires timers of different keys concurrently, and renews the lease meanwhile.
    async fn fire_all(&mut self, timers: Vec<Timer>, clock: Clock) -> Vec<(Timer, Attempt)> {
        let mut places = HashMap::<String, usize>::new();
        let mut lines: Vec<Vec<(Timer, Option<Runner>)>> = Vec::new();
        for timer in timers {
            let place = *places.entry(timer.key.clone()).or_insert(lines.len());
            if place == lines.len() {
                lines.push(Vec::new());
            }
            let runner = self.runner(&timer);
            lines[place].push((timer, runner));
        }
        let runtime = self.runtime.clone();
        let lines: Vec<BoxFuture<'static, Vec<(Timer, Attempt)>>> =
            lines.into_iter().map(|line| fire_in_order(runtime.clone(), line, clock).boxed()).collect();
        let environment = self.runtime.environment.clone();
        let mut firing = Box::pin(stream::iter(lines).buffer_unordered(KEYS).collect::<Vec<_>>());
        loop {
            tokio::select! {
                biased;
                attempts = &mut firing => return attempts.into_iter().flatten().collect(),
                () = environment.sleep((self.runtime.lease / 3).max(Duration::from_millis(1))) => {
                    // If the lease is lost, the commits of the present firings still decide.
                    let renewed = self.holds_lease().await;
                    if let Ok(false) | Err(_) = renewed {
                        tracing::warn!("the lease of the timers cannot be renewed; the present firings go on");
                    }
                }
            }
        }
    }
    /// Notes a failed attempt. After the last one the timer waits for an operator.
    async fn note(&mut self, timer: &Timer, attempt: Attempt) -> Result<(), Fault> {
        let (runtime, place) = (self.runtime.clone(), timer.firing());
        let policy = runtime.retry_policy;
        let mut failures = self.failures.remove(&place).unwrap_or_default();
        let (error, is_last) = match attempt {
            Attempt::Fired | Attempt::Refused | Attempt::Gone => return Ok(()),
            Attempt::Transient(error) => (error, false),
            Attempt::Left(error) => {
                self.leave_to_newer_program().await?;
                (error, false)
            }
            Attempt::Failed(error) => {
                failures.counted += 1;
                let is_last = failures.counted >= policy.attempts;
                (error, is_last)
            }
            Attempt::Hopeless(error) => match self.runner(timer).is_some() {
                true => (error, true),
                // A newer program may handle the command.
                false if runtime.is_newest_program().await? => (error, true),
                false => {
                    self.leave_to_newer_program().await?;
                    (error, false)
                }
            },
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
    /// Gives the lease up for its own length, so that a replica with a newer program takes it.
    async fn leave_to_newer_program(&mut self) -> Result<(), Fault> {
        self.pauses_until = self.uptime() + self.runtime.lease;
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

/// Fires the timers of one key, up to the first one that is not done.
async fn fire_in_order(
    runtime: Arc<Runtime>,
    line: Vec<(Timer, Option<Runner>)>,
    clock: Clock,
) -> Vec<(Timer, Attempt)> {
    let mut attempts = Vec::with_capacity(line.len());
    for (timer, runner) in line {
        let attempt = match runner {
            Some(runner) => fire(&runtime, runner, &timer, clock).await,
            None => Attempt::Hopeless(format!("no handler of this program handles the command {}", timer.command)),
        };
        let is_done = attempt.is_done();
        attempts.push((timer, attempt));
        if !is_done {
            break;
        }
    }
    attempts
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
    async fn finish(&mut self) {
        // The lease expires by itself, too.
        let _ = self.release().await;
    }
}
impl fmt::Debug for TimerJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerJob").field("owner", &self.owner).finish_non_exhaustive()
    }
}
