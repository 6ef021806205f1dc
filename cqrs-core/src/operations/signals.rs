//! Signals: the first one starts a graceful shutdown; a second one, or the time-out, terminates the process.
use super::readiness::Phase;
use crate::environment::{Environment, SystemEnvironment, even_if_stuck};
use std::{
    process,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

/// The longest time that a graceful shutdown may take, without the pause before it
/// ([`Program::shutdown_pause`](super::Program::shutdown_pause)). A process that still runs after it is terminated with
/// exit code 1.
pub const EXIT: Duration = Duration::from_secs(10);

/// Spawns a task that runs until the process ends.
pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(SystemEnvironment.spawn(Box::pin(task)));
}

/// Listens for signals and sets the phase to stopping on the first one.
pub(super) fn listen(name: &'static str, phase: Arc<watch::Sender<Phase>>, pause: Arc<OnceLock<Duration>>) {
    let Some(mut signals) = Signals::new() else {
        tracing::error!("cannot listen for signals; only SIGKILL ends this process");
        return;
    };
    spawn(async move {
        signals.next().await;
        if *phase.borrow() == Phase::Starting && !COMMAND.load(Ordering::SeqCst) {
            tracing::info!(program = name, "stopping before the start-up has finished");
            process::exit(0);
        }
        tracing::info!(program = name, "stopping; work in progress is finished first");
        let exit = EXIT + pause.get().copied().unwrap_or_default();
        even_if_stuck(exit, next, move |signal| {
            if let Some(number) = signal {
                exit_at_once(name, number);
            }
            eprintln!("{name} did not end within {} s and is terminated", exit.as_secs());
            process::exit(1);
        });
        phase.send_replace(Phase::Stopping);
        // Covers the time until the other thread listens.
        exit_at_once(name, signals.next().await);
    });
}
/// Waits for a signal that ends a command which stops by itself. From this call on, the first signal does not end the
/// process at once.
pub(super) fn of_command() -> impl Future<Output = ()> {
    COMMAND.store(true, Ordering::SeqCst);
    let signals = Signals::new();
    async move {
        match signals {
            Some(mut signals) => drop(signals.next().await),
            None => std::future::pending().await,
        }
    }
}
/// Set while the process runs a command that stops by itself.
static COMMAND: AtomicBool = AtomicBool::new(false);

/// Waits for the next signal on its own listener, so that any runtime can wait for it.
async fn next() -> i32 {
    match Signals::new() {
        Some(mut signals) => signals.next().await,
        None => std::future::pending().await,
    }
}
/// Exits with the code that shells use for a process ended by this signal.
fn exit_at_once(name: &str, number: i32) -> ! {
    eprintln!("{name} received a second signal and exits at once");
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
    /// Returns the number of the next signal.
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
