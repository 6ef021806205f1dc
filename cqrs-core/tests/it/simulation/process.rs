//! A process: what crashes, freezes and is stopped as one, with a clock of its own.
use super::machine::{Machine, Micros, TaskId};
use crate::listener::lock;
use cqrs_core::{
    Timestamp,
    world::{Task, World},
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

/// One life of a process; started anew, it is another.
pub(crate) struct Process {
    pub(crate) machine: Machine,
    pub(crate) name: String,
    pub(crate) id: u64,
    tasks: Mutex<Vec<TaskId>>,
    alive: AtomicBool,
    /// Frozen until then; 0 when it runs.
    thaws_at: AtomicU64,
    stopping: AtomicBool,
    stop: Notify,
    /// How wrong its clock is, in seconds.
    skew: AtomicI64,
}
impl Process {
    pub(crate) fn new(machine: &Machine, name: String, skew: i64) -> Arc<Self> {
        Arc::new(Process {
            id: machine.number(),
            tasks: Mutex::default(),
            machine: machine.clone(),
            name,
            alive: AtomicBool::new(true),
            thaws_at: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            stop: Notify::new(),
            skew: AtomicI64::new(skew),
        })
    }
    /// Somebody sets its clock.
    pub(crate) fn set_clock(&self, skew: i64) {
        self.skew.store(skew, Relaxed);
    }
    /// Runs something in it.
    pub(crate) fn spawn(&self, task: BoxFuture<'static, ()>) -> TaskId {
        let id = self.machine.number();
        lock(&self.tasks).push(id);
        self.machine.spawn(id, task);
        id
    }
    fn each_task(&self, what: impl Fn(&Machine, TaskId)) {
        lock(&self.tasks).iter().for_each(|it| what(&self.machine, *it));
    }
    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Relaxed)
    }
    /// It is gone where it stands, and tells nobody.
    pub(crate) fn crash(&self) {
        self.alive.store(false, Relaxed);
        self.each_task(Machine::kill);
    }
    /// It is asked to end.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Relaxed);
        self.stop.notify_waiters();
    }
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }
    pub(crate) async fn stopped(&self) {
        let mut told = std::pin::pin!(self.stop.notified());
        // Listen before looking, or what is said between the two is missed.
        told.as_mut().enable();
        if !self.is_stopping() {
            told.await;
        }
    }
    /// It stands still for this long; the rest of the world does not.
    pub(crate) fn freeze(self: &Arc<Self>, time: Micros) {
        let until = self.machine.now() + time;
        self.thaws_at.store(until, Relaxed);
        self.each_task(Machine::freeze);
        let process = self.clone();
        self.machine.after(time, move |machine| {
            machine.note(|| format!("{} goes on", process.name));
            process.thaws_at.store(0, Relaxed);
            process.each_task(Machine::thaw);
        });
    }
    /// When it goes on, if it is frozen.
    pub(crate) fn thaws_at(&self) -> Option<Micros> {
        Some(self.thaws_at.load(Relaxed)).filter(|at| *at > 0)
    }
}

/// Simulated time, ids and chance. The clock of a process may be wrong; the database's is right.
#[derive(Clone)]
pub(crate) struct Simulated {
    pub(crate) machine: Machine,
    /// Whose clock it is.
    pub(crate) process: Option<Arc<Process>>,
}
impl World for Simulated {
    fn now(&self) -> Timestamp {
        let noon = Timestamp::from_timestamp(1_767_268_800, 0).unwrap_or_default();
        let skew = self.process.as_ref().map_or(0, |it| it.skew.load(Relaxed));
        noon + chrono::TimeDelta::microseconds(self.machine.now() as i64) + chrono::TimeDelta::seconds(skew)
    }
    fn id(&self) -> Uuid {
        Uuid::from_u128(self.machine.number().into())
    }
    fn chance(&self) -> u64 {
        // Jitter: no choice of the schedule, or it would be longer and no richer.
        self.machine.number().wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(self.machine.sleep(time.as_micros() as Micros))
    }
    fn spawn(&self, _: BoxFuture<'static, ()>) -> Task {
        panic!("the simulation steps the engines itself: nothing in them may spawn a task")
    }
}
