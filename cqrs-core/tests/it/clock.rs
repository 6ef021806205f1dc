//! A clock that the test sets, for engines that are stepped by hand.
use crate::{bank::until, listener::lock};
use chrono::TimeDelta;
use cqrs_core::{
    Timestamp,
    environment::{Environment, SystemEnvironment},
    testing::EnvironmentLayer,
};
use futures_util::future::BoxFuture;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

/// The time of day and the uptime in milliseconds, both 0 at first, and the sleeps that were asked for. A sleep takes a
/// millisecond of the real time and does not move the clock; one of an hour or more, which is a time limit, never ends.
#[derive(Clone, Default)]
pub(crate) struct Clock {
    pub(crate) now: Arc<AtomicI64>,
    uptime: Arc<AtomicI64>,
    pub(crate) slept: Arc<Mutex<Vec<Duration>>>,
}
impl Clock {
    /// Sets the time of day and the uptime.
    pub(crate) fn set(&self, milliseconds: i64) {
        self.now.store(milliseconds, SeqCst);
        self.uptime.store(milliseconds, SeqCst);
    }
    /// Moves the time of day and the uptime.
    pub(crate) fn advance(&self, milliseconds: i64) {
        self.now.fetch_add(milliseconds, SeqCst);
        self.uptime.fetch_add(milliseconds, SeqCst);
    }
    /// Waits until the tasks of the test have slept many times more, so that those that wait have looked again.
    pub(crate) async fn many_sleeps(&self) {
        let before = lock(&self.slept).len();
        until("the tasks have slept", async || lock(&self.slept).len() >= before + 50).await;
    }
}
impl EnvironmentLayer for Clock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::milliseconds(self.now.load(SeqCst))
    }
    fn uptime(&self) -> Duration {
        Duration::from_millis(self.uptime.load(SeqCst).unsigned_abs())
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        lock(&self.slept).push(time);
        if time >= Duration::from_secs(3_600) {
            return Box::pin(std::future::pending());
        }
        SystemEnvironment.sleep(Duration::from_millis(1))
    }
}
