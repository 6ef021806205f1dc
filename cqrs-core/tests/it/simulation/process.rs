//! A simulated process: its tasks crash, freeze and stop as one, and it has a clock of its own.
use super::{
    environment::{Micros, SimulatedEnvironment, TaskId},
    fleet::Release,
};
use crate::listener::lock;
use cqrs_core::{
    Timestamp,
    environment::{Environment, Task},
};
use futures_util::future::BoxFuture;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::Notify;
use uuid::Uuid;

/// One run of a process. After a restart it is a new one.
pub(crate) struct Process {
    pub(crate) environment: SimulatedEnvironment,
    pub(crate) name: String,
    pub(crate) id: u64,
    /// The program that it runs.
    pub(crate) release: Release,
    tasks: Mutex<Vec<TaskId>>,
    alive: AtomicBool,
    /// The time until which the process is frozen; 0 when it runs.
    thaws_at: AtomicU64,
    stopping: AtomicBool,
    stop: Notify,
    /// The error of its clock, in seconds.
    skew: AtomicI64,
}
impl Process {
    pub(crate) fn new(environment: &SimulatedEnvironment, name: String, skew: i64, release: Release) -> Arc<Self> {
        Arc::new(Process {
            id: environment.number(),
            tasks: Mutex::default(),
            environment: environment.clone(),
            name,
            release,
            alive: AtomicBool::new(true),
            thaws_at: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            stop: Notify::new(),
            skew: AtomicI64::new(skew),
        })
    }
    /// Sets the error of its clock, in seconds.
    pub(crate) fn set_clock(&self, skew: i64) {
        self.skew.store(skew, Relaxed);
    }
    /// Runs a task in the process.
    pub(crate) fn spawn(&self, task: BoxFuture<'static, ()>) -> TaskId {
        let id = self.environment.number();
        lock(&self.tasks).push(id);
        self.environment.spawn(id, task);
        // The poll in which the process crashes or freezes goes on to its end, and may start further tasks.
        if !self.is_alive() {
            self.environment.kill(id);
        } else if self.thaws_at().is_some() {
            self.environment.freeze(id);
        }
        id
    }
    fn each_task(&self, action: impl Fn(&SimulatedEnvironment, TaskId)) {
        lock(&self.tasks).iter().for_each(|task| action(&self.environment, *task));
    }
    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Relaxed)
    }
    /// Ends the process at once, without any notification.
    pub(crate) fn crash(&self) {
        self.alive.store(false, Relaxed);
        self.each_task(SimulatedEnvironment::kill);
    }
    /// Asks the process to end.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Relaxed);
        self.stop.notify_waiters();
    }
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }
    pub(crate) async fn stopped(&self) {
        let mut notified = std::pin::pin!(self.stop.notified());
        // Listens before it checks, so that no notification between the two is missed.
        notified.as_mut().enable();
        if !self.is_stopping() {
            notified.await;
        }
    }
    /// Freezes the process for this time. Everything else goes on.
    pub(crate) fn freeze(self: &Arc<Self>, time: Micros) {
        let until = self.environment.now() + time;
        self.thaws_at.store(until, Relaxed);
        self.each_task(SimulatedEnvironment::freeze);
        let process = self.clone();
        self.environment.after(time, move |environment| {
            environment.note(|| format!("{} is thawed", process.name));
            process.thaws_at.store(0, Relaxed);
            process.each_task(SimulatedEnvironment::thaw);
        });
    }
    /// Returns the time at which it is thawed, if it is frozen.
    pub(crate) fn thaws_at(&self) -> Option<Micros> {
        Some(self.thaws_at.load(Relaxed)).filter(|at| *at > 0)
    }
}

/// The environment of one process: simulated time, ids and random numbers. A process's clock may be wrong; the
/// database's is right.
#[derive(Clone)]
pub(crate) struct ProcessEnvironment {
    pub(crate) environment: SimulatedEnvironment,
    /// The process with its clock; `None` is the database's clock.
    pub(crate) process: Option<Arc<Process>>,
}
impl Environment for ProcessEnvironment {
    fn now(&self) -> Timestamp {
        let noon = Timestamp::from_timestamp(1_767_268_800, 0).unwrap_or_default();
        let skew = self.process.as_ref().map_or(0, |process| process.skew.load(Relaxed));
        noon + chrono::TimeDelta::microseconds(self.environment.now() as i64) + chrono::TimeDelta::seconds(skew)
    }
    /// Setting the clock of the process does not change it.
    fn uptime(&self) -> Duration {
        Duration::from_micros(self.environment.now())
    }
    fn id(&self) -> Uuid {
        Uuid::from_u128(self.environment.number().into())
    }
    fn random(&self) -> u64 {
        // Only jitter uses it. It is no choice of the schedule, which would be longer without finding more.
        self.environment.number().wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(self.environment.sleep(time.as_micros() as Micros))
    }
    fn spawn(&self, _: BoxFuture<'static, ()>) -> Task {
        panic!("the simulation steps the engines itself, so they must not spawn a task")
    }
    /// A crashed process finishes nothing; what it has sent to a server is carried out there.
    fn detach(&self, task: BoxFuture<'static, ()>) {
        if let Some(process) = self.process.as_ref().filter(|process| process.is_alive()) {
            process.spawn(task);
        }
    }
}
