//! The simulated environment: a single-threaded executor with tasks, timers and virtual time.
//!
//! A choice of the schedule decides which ready task runs next. When none is ready, time jumps to the next timer.
mod sleep;

pub(crate) use sleep::Sleep;

use super::{random::Random, trace::Violation};
use crate::listener::lock;
use futures_util::future::BoxFuture;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Wake, Waker},
};

/// Microseconds since the environment was started.
pub(crate) type Micros = u64;
pub(crate) const MILLI: Micros = 1_000;
pub(crate) const SECOND: Micros = 1_000_000;
/// The time within which everything must be done after the faults have stopped.
const PATIENCE: Micros = 180 * SECOND;
/// The limit of steps: a schedule with more is a loop without progress.
const STEPS: u64 = 300_000;

pub(crate) type TaskId = u64;

/// The delays of a fast environment.
pub(crate) const FAST: [Micros; 8] = [500, 500, 500, 500, 700, 900, 1_100, 1_500];
/// The delays of an environment where operations overtake each other.
pub(crate) const UNEVEN: [Micros; 8] = [500, 600, 900, 1_500, 3_000, 8_000, 20_000, 60_000];
/// The delays of an overloaded environment.
pub(crate) const SLOW: [Micros; 8] = [500, 1_000, 3_000, 10_000, 40_000, 150_000, 400_000, 1_200_000];

/// A handle on the environment. Clones share it.
#[derive(Clone)]
pub(crate) struct SimulatedEnvironment(Arc<Inner>);
struct Inner {
    state: Mutex<State>,
    ready: Arc<Mutex<VecDeque<TaskId>>>,
}
struct State {
    now: Micros,
    random: Random,
    timers: BTreeMap<(Micros, u64), Timer>,
    /// The last number given to a timer, a task or an id.
    next: u64,
    spawned: Vec<(TaskId, BoxFuture<'static, ()>)>,
    killed: Vec<TaskId>,
    frozen: BTreeSet<TaskId>,
    /// Tasks that were woken while frozen.
    held: Vec<TaskId>,
    /// The time from which no fault is injected any more.
    calm_at: Micros,
    /// The possible delays.
    pace: &'static [Micros; 8],
    trace: Option<Vec<(Micros, String)>>,
    violation: Option<Violation>,
}
enum Timer {
    Wake(Waker),
    Do(Box<dyn FnOnce(&SimulatedEnvironment) + Send>),
}

impl SimulatedEnvironment {
    pub(crate) fn new(random: Random, traced: bool) -> Self {
        let state = State {
            now: 0,
            random,
            timers: BTreeMap::new(),
            next: 0,
            spawned: Vec::new(),
            killed: Vec::new(),
            frozen: BTreeSet::new(),
            held: Vec::new(),
            calm_at: Micros::MAX,
            pace: &FAST,
            trace: traced.then(Vec::new),
            violation: None,
        };
        SimulatedEnvironment(Arc::new(Inner { state: Mutex::new(state), ready: Arc::default() }))
    }
    pub(crate) fn now(&self) -> Micros {
        lock(&self.0.state).now
    }
    /// Returns a number that was not returned before.
    pub(crate) fn number(&self) -> u64 {
        let mut state = lock(&self.0.state);
        state.next += 1;
        state.next
    }
    /// Makes a choice below `n`. 0 is the harmless one.
    pub(crate) fn choose(&self, n: u32) -> u32 {
        lock(&self.0.state).random.below(n)
    }
    /// Returns true once in `n` times.
    pub(crate) fn one_in(&self, n: u32) -> bool {
        self.choose(n) + 1 == n
    }
    /// Chooses one of these. The first is the harmless one.
    pub(crate) fn one_of<T: Copy>(&self, all: &[T]) -> T {
        all[self.choose(all.len() as u32) as usize]
    }
    pub(crate) fn choices(&self) -> Vec<u32> {
        lock(&self.0.state).random.made().to_vec()
    }

    pub(crate) fn calm_from(&self, at: Micros) {
        lock(&self.0.state).calm_at = at;
    }
    pub(crate) fn is_calm(&self) -> bool {
        let state = lock(&self.0.state);
        state.now >= state.calm_at
    }
    pub(crate) fn pace(&self, pace: &'static [Micros; 8]) {
        lock(&self.0.state).pace = pace;
    }
    /// Chooses the delay of the next operation.
    pub(crate) fn delay(&self) -> Micros {
        let mut state = lock(&self.0.state);
        let pace = if state.now >= state.calm_at { &FAST } else { state.pace };
        pace[state.random.below(8) as usize]
    }
    /// Adds a line to the trace, if the schedule is traced.
    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        if lock(&self.0.state).trace.is_some() {
            let line = line();
            let mut state = lock(&self.0.state);
            let now = state.now;
            state.trace.iter_mut().for_each(|trace| trace.push((now, line.clone())));
        }
    }
    pub(crate) fn trace(&self) -> Vec<(Micros, String)> {
        lock(&self.0.state).trace.clone().unwrap_or_default()
    }
    /// Reports the violation of an invariant, which stops the environment. The first one counts.
    pub(crate) fn report(&self, violation: Violation) {
        self.note(|| format!("VIOLATION {violation}"));
        lock(&self.0.state).violation.get_or_insert(violation);
    }
    pub(crate) fn violation(&self) -> Option<Violation> {
        lock(&self.0.state).violation.clone()
    }

    pub(crate) fn sleep(&self, time: Micros) -> Sleep {
        Sleep { environment: self.clone(), until: self.now().saturating_add(time), timer: None }
    }
    /// Runs an action after this time, even if the calling task has ended: like a request that was sent to a server.
    pub(crate) fn after(&self, time: Micros, action: impl FnOnce(&SimulatedEnvironment) + Send + 'static) {
        self.at(self.now() + time, action);
    }
    pub(crate) fn at(&self, time: Micros, action: impl FnOnce(&SimulatedEnvironment) + Send + 'static) {
        self.timer(time, Timer::Do(Box::new(action)));
    }
    fn timer(&self, time: Micros, timer: Timer) -> (Micros, u64) {
        let mut state = lock(&self.0.state);
        state.next += 1;
        let key = (time, state.next);
        state.timers.insert(key, timer);
        key
    }

    pub(crate) fn spawn(&self, id: TaskId, task: BoxFuture<'static, ()>) {
        lock(&self.0.state).spawned.push((id, task));
    }
    /// Drops a task at its current await.
    pub(crate) fn kill(&self, id: TaskId) {
        lock(&self.0.state).killed.push(id);
    }
    /// Stops a task until it is thawed. Time goes on.
    pub(crate) fn freeze(&self, id: TaskId) {
        lock(&self.0.state).frozen.insert(id);
    }
    pub(crate) fn thaw(&self, id: TaskId) {
        let mut state = lock(&self.0.state);
        state.frozen.remove(&id);
        let (thawed, held) = std::mem::take(&mut state.held).into_iter().partition(|task| *task == id);
        state.held = held;
        lock(&self.0.ready).extend::<Vec<_>>(thawed);
    }

    /// Runs until everything is done, an invariant is violated, or the patience is over. Calls `polled` before each
    /// poll of a task.
    pub(crate) fn run(&self, polled: impl Fn(TaskId), done: impl Fn() -> bool, missing: impl Fn() -> Violation) {
        let mut tasks: BTreeMap<TaskId, Task> = BTreeMap::new();
        for step in 0.. {
            self.take_in(&mut tasks);
            if self.violation().is_some() {
                break;
            }
            let Some(id) = self.pick() else {
                if done() {
                    break;
                }
                if !self.advance() {
                    self.report(missing());
                }
                continue;
            };
            if step > STEPS {
                self.report(Violation { invariant: "drains", details: "tasks run in a loop without progress".into() });
            }
            polled(id);
            let Some(task) = tasks.get_mut(&id) else { continue };
            task.wake.queued.store(false, Relaxed);
            if task.future.as_mut().poll(&mut Context::from_waker(&task.waker)).is_ready() {
                tasks.remove(&id);
            }
        }
        drop(tasks);
        self.drop_timers();
    }
    /// Breaks the reference cycle between the timers and the environment.
    fn drop_timers(&self) {
        loop {
            let timers = std::mem::take(&mut lock(&self.0.state).timers);
            if timers.is_empty() {
                return;
            }
        }
    }
    fn take_in(&self, tasks: &mut BTreeMap<TaskId, Task>) {
        loop {
            let (spawned, killed) = {
                let mut state = lock(&self.0.state);
                (std::mem::take(&mut state.spawned), std::mem::take(&mut state.killed))
            };
            if spawned.is_empty() && killed.is_empty() {
                return;
            }
            for (id, future) in spawned {
                let wake = Arc::new(Queue { id, queued: AtomicBool::new(false), ready: self.0.ready.clone() });
                wake.wake_by_ref();
                tasks.insert(id, Task { future, waker: wake.clone().into(), wake });
            }
            // A dropped task may call the environment, so no lock is held here.
            killed.iter().for_each(|id| drop(tasks.remove(id)));
        }
    }
    /// Takes the next task to run.
    fn pick(&self) -> Option<TaskId> {
        loop {
            let mut ready = lock(&self.0.ready);
            let count = ready.len();
            if count == 0 {
                return None;
            }
            let mut state = lock(&self.0.state);
            let chosen = if count == 1 { 0 } else { state.random.below(count as u32) as usize };
            let id = ready.remove(chosen)?;
            if !state.frozen.contains(&id) {
                return Some(id);
            }
            state.held.push(id);
        }
    }
    /// Advances time to the next timers and runs them. Returns `false` when there is none or the patience is over.
    fn advance(&self) -> bool {
        let due = {
            let mut state = lock(&self.0.state);
            let Some(((at, _), _)) = state.timers.first_key_value() else { return false };
            state.now = (*at).max(state.now);
            if state.now > state.calm_at.saturating_add(PATIENCE) {
                return false;
            }
            let next = state.now + 1;
            let later = state.timers.split_off(&(next, 0));
            std::mem::replace(&mut state.timers, later)
        };
        for timer in due.into_values() {
            match timer {
                Timer::Wake(waker) => waker.wake(),
                Timer::Do(action) => action(self),
            }
        }
        true
    }
}

struct Task {
    future: BoxFuture<'static, ()>,
    waker: Waker,
    wake: Arc<Queue>,
}
/// Adds a task to the ready ones, once.
struct Queue {
    id: TaskId,
    queued: AtomicBool,
    ready: Arc<Mutex<VecDeque<TaskId>>>,
}
impl Wake for Queue {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Relaxed) {
            lock(&self.ready).push_back(self.id);
        }
    }
}
