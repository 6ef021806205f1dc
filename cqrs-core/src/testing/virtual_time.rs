//! Virtual time: a clock that jumps to the next timer while nothing else happens.
use crate::{
    Timestamp,
    environment::{Environment, SystemEnvironment},
    testing::EnvironmentLayer,
};
use futures_util::future::BoxFuture;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::sync::oneshot;

/// An environment with virtual time: a wait of an hour passes in a millisecond.
///
/// Retries, back-off, leases, ticks, throttles and time limits wait by the environment. With this one they wait in virtual
/// time, which jumps to the next timer when nothing has asked the environment for anything for a millisecond.
/// [`settle`](crate::testing::settle) and its limit of ten seconds go by the environment of the first app, so a test waits for
/// retries with `settle()` alone, and for anything longer, such as the lease of a process that is gone, with
/// [`settled_within`](crate::testing::settled_within). [`advance`](VirtualTime::advance) lets time pass without waiting for it.
///
/// Each timer on the way takes a millisecond or two of real time. An app on the memory has about one every quarter of a second, so
/// a minute of its time passes within a second.
///
/// The memory storage measures leases and ages by the clock of its app. SQLite and PostgreSQL measure them by their own, which
/// is not virtual.
///
/// Clones share one time. Give apps that are tested together the same one.
///
/// ```
/// use cqrs_core::{App, Timestamp, environment::Environment, testing::VirtualTime};
/// use std::{sync::Arc, time::Duration};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let time = VirtualTime::new(Timestamp::UNIX_EPOCH);
/// let app = App::builder("orders").environment(Arc::new(time.clone()));
/// # drop(app);
///
/// time.sleep(Duration::from_secs(3_600)).await;      // a millisecond
/// assert_eq!(time.uptime(), Duration::from_secs(3_600));
/// time.advance(Duration::from_secs(60));
/// assert_eq!((time.now() - Timestamp::UNIX_EPOCH).num_minutes(), 61);
/// # });
/// ```
#[derive(Clone)]
pub struct VirtualTime(Arc<Shared>);

/// The real time without a call after which the virtual time jumps.
const QUIET: Duration = Duration::from_millis(1);

struct Shared {
    start: Timestamp,
    state: Mutex<State>,
}
#[derive(Default)]
struct State {
    /// The virtual time since the start.
    elapsed: Duration,
    /// The waits by their ends, each with a number that tells equal ends apart.
    timers: BTreeMap<(Duration, u64), oneshot::Sender<()>>,
    /// The number of calls of the environment.
    calls: u64,
    /// Set while a task moves the time.
    is_driven: bool,
}

impl VirtualTime {
    /// Creates a virtual time that begins at `start`, with an uptime of zero.
    pub fn new(start: Timestamp) -> Self {
        VirtualTime(Arc::new(Shared { start, state: Mutex::default() }))
    }
    /// Lets time pass at once. Waits that end by then end now, in the order of their ends.
    pub fn advance(&self, time: Duration) {
        let mut state = self.0.state();
        let to = state.elapsed.saturating_add(time);
        state.move_to(to);
    }
    fn called(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.state();
        state.calls += 1;
        state
    }
}
impl EnvironmentLayer for VirtualTime {
    fn now(&self) -> Timestamp {
        self.0.start + self.called().elapsed
    }
    fn uptime(&self) -> Duration {
        self.called().elapsed
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        let mut state = self.called();
        let (end, number) = (state.elapsed.saturating_add(time), state.calls);
        let (sender, ended) = oneshot::channel();
        state.timers.insert((end, number), sender);
        if !std::mem::replace(&mut state.is_driven, true) {
            SystemEnvironment.spawn(Box::pin(drive(Arc::downgrade(&self.0))));
        }
        drop(state);
        Box::pin(async move {
            if ended.await.is_err() {
                // The environment is gone, so the time stands still.
                std::future::pending::<()>().await;
            }
        })
    }
}
impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
impl State {
    fn move_to(&mut self, to: Duration) {
        while let Some(timer) = self.timers.first_entry().filter(|timer| timer.key().0 <= to) {
            // A wait that was given up has no receiver.
            let _ = timer.remove().send(());
        }
        self.elapsed = to;
    }
    /// Returns the end of the next wait that was not given up.
    fn next(&mut self) -> Option<Duration> {
        while let Some(timer) = self.timers.first_entry() {
            if !timer.get().is_closed() {
                return Some(timer.key().0);
            }
            timer.remove();
        }
        None
    }
}

/// Moves the time to the next timer whenever nothing was asked for a while, and ends when no wait is left.
async fn drive(shared: Weak<Shared>) {
    let mut before = None;
    loop {
        SystemEnvironment.sleep(QUIET).await;
        let Some(shared) = shared.upgrade() else { return };
        let mut state = shared.state();
        let Some(next) = state.next() else {
            state.is_driven = false;
            return;
        };
        if before == Some(state.calls) {
            state.move_to(next);
        }
        before = Some(state.calls);
    }
}

impl fmt::Debug for VirtualTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtualTime({:?})", self.0.state().elapsed)
    }
}
