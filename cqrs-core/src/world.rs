//! Time, ids, chance and tasks: the only place that asks the machine. A test or a simulation gives another world.
use crate::Timestamp;
use futures_util::future::BoxFuture;
use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// What the framework asks of the machine.
pub trait World: Send + Sync + 'static {
    /// The time, for stamps, deadlines and back-off. Leases go by the database's clock instead.
    fn now(&self) -> Timestamp;
    /// A new id that sorts by time: UUIDv7.
    fn id(&self) -> Uuid;
    /// Time since some moment in the past. It never goes back: for measuring how long something takes.
    fn uptime(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.now().timestamp_micros()).unwrap_or_default())
    }
    /// A random number.
    fn chance(&self) -> u64;
    /// Returns after this long.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()>;
    /// Runs a task beside this one.
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Task;
}

/// A task that was spawned. Dropping it lets the task go on.
#[derive(Debug)]
pub struct Task(tokio::task::JoinHandle<()>);
impl Task {
    /// Returns when the task has ended, also by a panic; `true` when it ended well.
    pub async fn ended(self) -> bool {
        self.0.await.is_ok()
    }
    /// Ends the task at its next await.
    pub fn abort(&self) {
        self.0.abort();
    }
    /// What ends it later.
    pub(crate) fn aborter(&self) -> impl Fn() + Send + use<> {
        let handle = self.0.abort_handle();
        move || handle.abort()
    }
    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

/// The machine this program runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine;
impl World for Machine {
    fn now(&self) -> Timestamp {
        chrono::Utc::now()
    }
    fn id(&self) -> Uuid {
        Uuid::now_v7()
    }
    fn uptime(&self) -> Duration {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGAN.elapsed()
    }
    fn chance(&self) -> u64 {
        fastrand::u64(..)
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time))
    }
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Task {
        Task(tokio::spawn(task))
    }
}

/// Returns `future`'s output, or `None` when the time is over first.
pub(crate) async fn within<T>(world: &dyn World, time: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! { biased; out = future => Some(out), () = world.sleep(time) => None }
}

/// Acts when `sooner` is there, or with `None` after this long, unless the process has ended by then. On a thread and a runtime of its own:
/// the other one may be stuck, or be waiting for what blocks.
#[cfg(feature = "operations")]
pub(crate) fn even_if_stuck<T, F: Future<Output = T>>(
    time: Duration,
    sooner: impl FnOnce() -> F + Send + 'static,
    act: impl FnOnce(Option<T>) + Send + 'static,
) {
    std::thread::spawn(move || {
        let came = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(async { tokio::time::timeout(time, sooner()).await.ok() }),
            Err(_) => {
                std::thread::sleep(time);
                None
            }
        };
        act(came);
    });
}

/// A wait that doubles up to a limit, with a random half: `attempt` counts from 0.
pub(crate) fn backoff(world: &dyn World, attempt: u32, first: Duration, most: Duration) -> Duration {
    let full = first.saturating_mul(1 << attempt.min(16)).min(most);
    full / 2 + full.mul_f64((world.chance() >> 11) as f64 / (1u64 << 53) as f64) / 2
}

/// The machine, shared.
pub(crate) fn machine() -> Arc<dyn World> {
    Arc::new(Machine)
}
