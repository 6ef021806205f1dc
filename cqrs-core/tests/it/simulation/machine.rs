//! A machine of one thread: tasks, timers, virtual time. Which of the ready tasks runs next is a choice of the schedule; when none
//! is ready, time jumps to the next timer.
mod sleep;

pub(crate) use sleep::Sleep;

use super::{chance::Chance, trace::Broken};
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

/// Microseconds since the machine was started.
pub(crate) type Micros = u64;
pub(crate) const MILLI: Micros = 1_000;
pub(crate) const SECOND: Micros = 1_000_000;
/// After the faults have stopped, everything must be done within this.
const PATIENCE: Micros = 180 * SECOND;
/// More steps than this are a loop that waits for nothing.
const STEPS: u64 = 300_000;

pub(crate) type TaskId = u64;

/// A machine where nothing is slow; one where things overtake each other; one that is overloaded.
pub(crate) const FAST: [Micros; 8] = [500, 500, 500, 500, 700, 900, 1_100, 1_500];
pub(crate) const UNEVEN: [Micros; 8] = [500, 600, 900, 1_500, 3_000, 8_000, 20_000, 60_000];
pub(crate) const SLOW: [Micros; 8] = [500, 1_000, 3_000, 10_000, 40_000, 150_000, 400_000, 1_200_000];

/// A handle on the machine; clones are the same machine.
#[derive(Clone)]
pub(crate) struct Machine(Arc<Inner>);
struct Inner {
    state: Mutex<State>,
    ready: Arc<Mutex<VecDeque<TaskId>>>,
}
struct State {
    now: Micros,
    chance: Chance,
    timers: BTreeMap<(Micros, u64), Timer>,
    /// Of timers, tasks and ids.
    next: u64,
    spawned: Vec<(TaskId, BoxFuture<'static, ()>)>,
    killed: Vec<TaskId>,
    frozen: BTreeSet<TaskId>,
    /// Woken while frozen.
    held: Vec<TaskId>,
    /// From here on nothing goes wrong any more.
    calm_at: Micros,
    /// How long things take: one of these.
    pace: &'static [Micros; 8],
    trace: Option<Vec<(Micros, String)>>,
    broken: Option<Broken>,
}
enum Timer {
    Wake(Waker),
    Do(Box<dyn FnOnce(&Machine) + Send>),
}

impl Machine {
    pub(crate) fn new(chance: Chance, traced: bool) -> Self {
        let state = State {
            now: 0,
            chance,
            timers: BTreeMap::new(),
            next: 0,
            spawned: Vec::new(),
            killed: Vec::new(),
            frozen: BTreeSet::new(),
            held: Vec::new(),
            calm_at: Micros::MAX,
            pace: &FAST,
            trace: traced.then(Vec::new),
            broken: None,
        };
        Machine(Arc::new(Inner { state: Mutex::new(state), ready: Arc::default() }))
    }
    pub(crate) fn now(&self) -> Micros {
        lock(&self.0.state).now
    }
    /// A number that was not given before.
    pub(crate) fn number(&self) -> u64 {
        let mut state = lock(&self.0.state);
        state.next += 1;
        state.next
    }
    /// A choice below `n`; 0 is the harmless one.
    pub(crate) fn choose(&self, n: u32) -> u32 {
        lock(&self.0.state).chance.below(n)
    }
    /// Once in `n` times.
    pub(crate) fn one_in(&self, n: u32) -> bool {
        self.choose(n) + 1 == n
    }
    /// One of these; the first is the harmless one.
    pub(crate) fn one_of<T: Copy>(&self, all: &[T]) -> T {
        all[self.choose(all.len() as u32) as usize]
    }
    pub(crate) fn choices(&self) -> Vec<u32> {
        lock(&self.0.state).chance.made().to_vec()
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
    /// How long the next thing takes.
    pub(crate) fn delay(&self) -> Micros {
        let mut state = lock(&self.0.state);
        let pace = if state.now >= state.calm_at { &FAST } else { state.pace };
        pace[state.chance.below(8) as usize]
    }
    /// Says what happens, if somebody reads it.
    pub(crate) fn note(&self, what: impl FnOnce() -> String) {
        if lock(&self.0.state).trace.is_some() {
            let what = what();
            let mut state = lock(&self.0.state);
            let now = state.now;
            state.trace.iter_mut().for_each(|trace| trace.push((now, what.clone())));
        }
    }
    pub(crate) fn trace(&self) -> Vec<(Micros, String)> {
        lock(&self.0.state).trace.clone().unwrap_or_default()
    }
    /// An invariant does not hold: the machine stops. The first is told.
    pub(crate) fn broken(&self, broken: Broken) {
        self.note(|| format!("BROKEN {broken}"));
        lock(&self.0.state).broken.get_or_insert(broken);
    }
    pub(crate) fn verdict(&self) -> Option<Broken> {
        lock(&self.0.state).broken.clone()
    }

    pub(crate) fn sleep(&self, time: Micros) -> Sleep {
        Sleep { machine: self.clone(), until: self.now().saturating_add(time), timer: None }
    }
    /// Does something after this long, whatever becomes of the task that asks for it: as what was sent to a server.
    pub(crate) fn after(&self, time: Micros, what: impl FnOnce(&Machine) + Send + 'static) {
        self.at(self.now() + time, what);
    }
    pub(crate) fn at(&self, time: Micros, what: impl FnOnce(&Machine) + Send + 'static) {
        self.timer(time, Timer::Do(Box::new(what)));
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
    /// Drops a task where it stands.
    pub(crate) fn kill(&self, id: TaskId) {
        lock(&self.0.state).killed.push(id);
    }
    /// The task does not go on until it is thawed; time does.
    pub(crate) fn freeze(&self, id: TaskId) {
        lock(&self.0.state).frozen.insert(id);
    }
    pub(crate) fn thaw(&self, id: TaskId) {
        let mut state = lock(&self.0.state);
        state.frozen.remove(&id);
        let (of_it, held) = std::mem::take(&mut state.held).into_iter().partition(|it| *it == id);
        state.held = held;
        lock(&self.0.ready).extend::<Vec<_>>(of_it);
    }

    /// Runs until everything is done, something is broken, or patience ends. `polled` is told of each task before it runs.
    pub(crate) fn run(&self, polled: impl Fn(TaskId), done: impl Fn() -> bool, missing: impl Fn() -> Broken) {
        let mut tasks: BTreeMap<TaskId, Task> = BTreeMap::new();
        for step in 0.. {
            self.take_in(&mut tasks);
            if self.verdict().is_some() {
                break;
            }
            let Some(id) = self.pick() else {
                if done() {
                    break;
                }
                if !self.advance() {
                    self.broken(missing());
                }
                continue;
            };
            if step > STEPS {
                self.broken(Broken { invariant: "drains", what: "it runs and runs, and time stands still".into() });
            }
            polled(id);
            let Some(task) = tasks.get_mut(&id) else { continue };
            task.wake.queued.store(false, Relaxed);
            if task.future.as_mut().poll(&mut Context::from_waker(&task.waker)).is_ready() {
                tasks.remove(&id);
            }
        }
        drop(tasks);
        self.forget();
    }
    /// What waits holds the machine, and the machine what waits: one of them has to let go.
    fn forget(&self) {
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
            // What a task drops may do something of its own, so nothing is locked.
            killed.iter().for_each(|id| drop(tasks.remove(id)));
        }
    }
    /// The next task to run.
    fn pick(&self) -> Option<TaskId> {
        loop {
            let mut ready = lock(&self.0.ready);
            let count = ready.len();
            if count == 0 {
                return None;
            }
            let mut state = lock(&self.0.state);
            let chosen = if count == 1 { 0 } else { state.chance.below(count as u32) as usize };
            let id = ready.remove(chosen)?;
            if !state.frozen.contains(&id) {
                return Some(id);
            }
            state.held.push(id);
        }
    }
    /// Lets the next timers ring. `false` when patience is over.
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
                Timer::Do(what) => what(self),
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
/// Puts a task among the ready ones, once.
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
