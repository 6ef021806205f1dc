//! Sends commands and records their outcomes. A command with an unknown outcome is sent again with the same idempotency
//! key.
use super::{Config, ShutdownReport, app};
use crate::fault_suite::{
    account::Credit,
    deploy::{Program, new::Book},
    history::{History, Line},
    layers::SeededBug,
};
use anyhow::Result;
use cqrs_core::{App, ErrorKind, Metadata};
use futures_util::future::{FutureExt, try_join_all};
use std::{
    future::poll_fn,
    pin::pin,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// The time in which a command is sent again after the writer was asked to stop.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn run(config: Config, stop: impl Future<Output = ()>) -> Result<ExitCode> {
    let app = app::app(&config).await?;
    while let Err(fault) = app.migrate().await {
        if app::is_refusal(&fault) {
            return Err(anyhow::Error::new(fault));
        }
        sleep(Duration::from_millis(100)).await;
    }
    let history = History::open(&config.file("history"))?;
    let writer = Arc::new(Writer { app, config, history, stopping: AtomicBool::new(false), next: AtomicU64::new(0) });
    let tasks = (0..writer.config.writing.tasks).map(|task| {
        let writer = writer.clone();
        async move { tokio::spawn(async move { writer.write(task).await }).await? }
    });
    let mut tasks = pin!(try_join_all(tasks));
    let ended = tokio::select! {
        ended = &mut tasks => Some(ended),
        () = stop => None,
    };
    writer.stopping.store(true, Ordering::SeqCst);
    let began = Instant::now();
    match ended {
        Some(ended) => drop(ended?),
        None => drop(tasks.await?),
    }
    writer.config.write_report(&ShutdownReport { drained: true, milliseconds: began.elapsed().as_millis() as u64 })?;
    Ok(ExitCode::SUCCESS)
}

struct Writer {
    app: App,
    config: Config,
    history: History,
    stopping: AtomicBool,
    next: AtomicU64,
}
impl Writer {
    async fn write(&self, task: u64) -> Result<()> {
        let writing = &self.config.writing;
        let mut random = fastrand::Rng::with_seed(self.config.seed ^ (self.config.start << 16) ^ task);
        while !self.stopping.load(Ordering::SeqCst) {
            let number = self.config.start << 32 | self.next.fetch_add(1, Ordering::SeqCst);
            let key = format!("k{}", random.u64(0..writing.keys));
            let mut amounts: Vec<i64> = (0..random.usize(10..=50)).map(|_| random.i64(1..100)).collect();
            if random.u8(0..50) == 0 {
                amounts[0] = 0; // the command is refused because of it
            }
            self.history.note(Line::Begin { number, key: key.clone(), count: amounts.len() });
            let line = self.until_known(Credit { key, number, amounts }, &mut random).await;
            self.history.keep(line).await?;
            if let Some(pause) = (writing.tasks * 1_000_000).checked_div(writing.rate) {
                sleep(Duration::from_micros(random.u64(0..=2 * pause))).await;
            }
        }
        Ok(())
    }

    /// Sends the command until its outcome is known.
    async fn until_known(&self, command: Credit, random: &mut fastrand::Rng) -> Line {
        let number = command.number;
        let mut stopping_since = None;
        for attempt in 0_u64.. {
            let caller = Metadata::default().caller(self.config.name.clone());
            let keyed = self.app.with(match self.config.seeded_bug {
                Some(SeededBug::WithoutKey) => caller,
                _ => caller.key(format!("{number:x}")),
            });
            let sending = match self.config.program {
                Some(Program::After) => keyed.send(Book(command.clone())).boxed(),
                _ => keyed.send(command.clone()).boxed(),
            };
            let polls = if self.config.writing.cancels && attempt < 4 { random.u64(1..12) } else { u64::MAX };
            match polled(polls, sending).await {
                Some(Ok(first)) => return Line::Ok { number, first },
                Some(Err(error)) => match error.kind() {
                    ErrorKind::Invalid | ErrorKind::Conflict => return Line::Fail { number },
                    ErrorKind::AlreadyExists => {} // another command has opened the account meanwhile
                    _ => {
                        let error = format!("{:#}", anyhow::Error::new(error));
                        tracing::warn!(number, attempt, error, "the outcome is unknown; sending the command again");
                    }
                },
                None => {} // dropped at an await point
            }
            if self.stopping.load(Ordering::SeqCst) {
                let since = *stopping_since.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE {
                    return Line::Info { number };
                }
            }
            sleep(Duration::from_millis(random.u64(5..50))).await;
        }
        Line::Info { number }
    }
}

/// Polls a future up to `left` more times and drops it if it is not ready by then.
async fn polled<T>(mut left: u64, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left = left.saturating_sub(1);
            Poll::Pending
        }
    })
    .await
}
