//! The signals that end a process: the first asks, the second insists, and time insists too.
use super::asked::Phase;
use crate::world::{Machine, World, even_if_stuck};
use std::{process, sync::Arc, time::Duration};
use tokio::sync::watch;

/// How long a process may take to end after it was asked to. What hangs by then does not end by waiting.
pub const EXIT: Duration = Duration::from_secs(10);

/// Runs beside everything else until the process ends.
pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(Machine.spawn(Box::pin(task)));
}

/// Lets signals change the phase.
pub(super) fn end(name: &'static str, phase: Arc<watch::Sender<Phase>>) {
    let Some(mut signals) = Signals::new() else {
        tracing::error!("signals cannot be listened to: only a kill ends this process");
        return;
    };
    spawn(async move {
        signals.next().await;
        if *phase.borrow() == Phase::Starting {
            tracing::info!("{name} ends before it has begun");
            process::exit(0);
        }
        tracing::info!("{name} finishes what is under way");
        even_if_stuck(EXIT, next, move |told| {
            if let Some(number) = told {
                again(name, number);
            }
            eprintln!("{name} did not end within {} s and is ended", EXIT.as_secs());
            process::exit(1);
        });
        phase.send_replace(Phase::Stopping);
        again(name, signals.next().await); // until the other thread listens
    });
}
/// The next signal, wherever it is waited for.
async fn next() -> i32 {
    match Signals::new() {
        Some(mut signals) => signals.next().await,
        None => std::future::pending().await,
    }
}
fn again(name: &str, number: i32) -> ! {
    eprintln!("{name} is told again and ends at once");
    process::exit(128 + number)
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}
#[cfg(unix)]
impl Signals {
    fn new() -> Option<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Some(Signals {
            interrupt: signal(SignalKind::interrupt()).ok()?,
            terminate: signal(SignalKind::terminate()).ok()?,
        })
    }
    /// The number of the next one.
    async fn next(&mut self) -> i32 {
        tokio::select! { _ = self.interrupt.recv() => 2, _ = self.terminate.recv() => 15 }
    }
}

#[cfg(not(unix))]
struct Signals;
#[cfg(not(unix))]
impl Signals {
    fn new() -> Option<Self> {
        Some(Signals)
    }
    async fn next(&mut self) -> i32 {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        2
    }
}
