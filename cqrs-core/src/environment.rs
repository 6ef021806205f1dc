//! The environment: time, ids, random numbers and tasks.
//!
//! It is the only access to the system. A test or a simulation replaces it.
use crate::Timestamp;
use futures_util::future::BoxFuture;
use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// The source of time, ids, random numbers and tasks for the framework.
pub trait Environment: Send + Sync + 'static {
    /// Returns the time, used for time stamps, deadlines and back-off. Leases use the clock of the database instead.
    fn now(&self) -> Timestamp;
    /// Returns a new id that sorts by time (UUIDv7).
    fn id(&self) -> Uuid;
    /// Returns the time since some moment in the past. It never goes back, so it serves to measure durations.
    fn uptime(&self) -> Duration;
    /// Returns a random number.
    fn random(&self) -> u64;
    /// Waits for the given time.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()>;
    /// Spawns a task that runs concurrently.
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Task;
    /// Runs the rest of a task whose caller is gone, such as a commit after a client has hung up. The default spawns
    /// it.
    fn detach(&self, task: BoxFuture<'static, ()>) {
        self.spawn(task);
    }
}

/// A spawned task. It continues when this handle is dropped.
#[derive(Debug)]
pub struct Task(tokio::task::JoinHandle<()>);
impl Task {
    /// Waits until the task has ended. Returns `false` if it panicked or was aborted.
    pub async fn ended(self) -> bool {
        self.0.await.is_ok()
    }
    /// Ends the task at its next await.
    pub fn abort(&self) {
        self.0.abort();
    }
    /// Returns a function that aborts the task.
    pub(crate) fn aborter(&self) -> impl Fn() + Send + use<> {
        let handle = self.0.abort_handle();
        move || handle.abort()
    }
    /// Returns `true` if the task has ended.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

/// The environment of a real process: system clock, UUIDv7, random numbers, Tokio.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEnvironment;
impl Environment for SystemEnvironment {
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
    fn random(&self) -> u64 {
        fastrand::u64(..)
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time))
    }
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Task {
        Task(tokio::spawn(task))
    }
    fn detach(&self, task: BoxFuture<'static, ()>) {
        // Without a runtime, as after its end, nothing can run any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(task);
        }
    }
}

/// Returns the output of `future`, or `None` if `time` passes first.
pub(crate) async fn within<T>(
    environment: &dyn Environment,
    time: Duration,
    future: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! { biased; out = future => Some(out), () = environment.sleep(time) => None }
}

/// Runs a future to its end, also if the caller is dropped meanwhile: then the environment runs the rest.
pub(crate) async fn to_its_end<T: Send + 'static>(
    environment: &Arc<dyn Environment>,
    future: impl Future<Output = T> + Send + 'static,
) -> T {
    struct Unfinished<'a, T: Send + 'static> {
        future: Option<BoxFuture<'static, T>>,
        environment: &'a Arc<dyn Environment>,
    }
    impl<T: Send + 'static> Drop for Unfinished<'_, T> {
        fn drop(&mut self) {
            if let Some(rest) = self.future.take().filter(|_| !std::thread::panicking()) {
                self.environment.detach(Box::pin(async move { drop(rest.await) }));
            }
        }
    }
    let mut unfinished = Unfinished { future: Some(Box::pin(future)), environment };
    let output = match &mut unfinished.future {
        Some(future) => future.await,
        None => unreachable!("the future was set above"),
    };
    unfinished.future = None;
    output
}

/// Fills the bytes with random ones that cannot be guessed, for keys. They always come from the system, also in a
/// simulation: nothing depends on them. Returns `false` if the system has none.
pub(crate) fn fill_secretly(bytes: &mut [u8]) -> bool {
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), bytes).is_ok()
}

/// Returns whether the error is that of a time-out of Tokio.
pub(crate) fn is_time_out(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<tokio::time::error::Elapsed>()
}

/// Calls `act` with the output of `sooner`, or with `None` after `time`, unless the process has ended by then.
///
/// It uses a thread and a runtime of its own, because the main runtime may be stuck or wait for a blocking call.
#[cfg(feature = "operations")]
pub(crate) fn even_if_stuck<T, F: Future<Output = T>>(
    time: Duration,
    sooner: impl FnOnce() -> F + Send + 'static,
    act: impl FnOnce(Option<T>) + Send + 'static,
) {
    std::thread::spawn(move || {
        let output = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(async { tokio::time::timeout(time, sooner()).await.ok() }),
            Err(_) => {
                std::thread::sleep(time);
                None
            }
        };
        act(output);
    });
}

/// Returns a wait that doubles with each attempt up to `most`, and of which half is random. `attempt` counts from 0.
pub(crate) fn backoff(environment: &dyn Environment, attempt: u32, first: Duration, most: Duration) -> Duration {
    let full = first.saturating_mul(1 << attempt.min(16)).min(most);
    full / 2 + full.mul_f64((environment.random() >> 11) as f64 / (1u64 << 53) as f64) / 2
}

/// Returns the [`SystemEnvironment`], shared.
pub(crate) fn system() -> Arc<dyn Environment> {
    Arc::new(SystemEnvironment)
}
