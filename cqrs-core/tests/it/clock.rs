//! A clock that the test sets, for engines that are stepped by hand.
use crate::listener::lock;
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
/// millisecond of the real time and does not move the clock.
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
        SystemEnvironment.sleep(Duration::from_millis(1))
    }
}
