//! Waiting in virtual time.
use super::{Machine, Micros, Timer};
use crate::listener::lock;
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// Ends when its time has come; a sleep that is dropped wakes nobody.
pub(crate) struct Sleep {
    pub(super) machine: Machine,
    pub(super) until: Micros,
    pub(super) timer: Option<(Micros, u64)>,
}
impl Sleep {
    fn cancel(&mut self) {
        if let Some(key) = self.timer.take() {
            lock(&self.machine.0.state).timers.remove(&key);
        }
    }
}
impl Future for Sleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.cancel();
        if self.machine.now() >= self.until {
            return Poll::Ready(());
        }
        self.timer = Some(self.machine.timer(self.until, Timer::Wake(context.waker().clone())));
        Poll::Pending
    }
}
impl Drop for Sleep {
    fn drop(&mut self) {
        self.cancel();
    }
}
