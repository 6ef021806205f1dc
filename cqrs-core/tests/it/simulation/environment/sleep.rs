//! Sleeping in virtual time.
use super::{Micros, SimulatedEnvironment, Timer};
use crate::listener::lock;
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// A future that completes at its time. A dropped sleep wakes no task.
pub(crate) struct Sleep {
    pub(super) environment: SimulatedEnvironment,
    pub(super) until: Micros,
    pub(super) timer: Option<(Micros, u64)>,
}
impl Sleep {
    fn cancel(&mut self) {
        if let Some(key) = self.timer.take() {
            lock(&self.environment.0.state).timers.remove(&key);
        }
    }
}
impl Future for Sleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.cancel();
        if self.environment.now() >= self.until {
            return Poll::Ready(());
        }
        self.timer = Some(self.environment.timer(self.until, Timer::Wake(context.waker().clone())));
        Poll::Pending
    }
}
impl Drop for Sleep {
    fn drop(&mut self) {
        self.cancel();
    }
}
