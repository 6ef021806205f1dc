//! One run: callers in a closed loop, each sending its next call when the one before has returned.
use crate::subject::{Caller, Counters, Subject};
use anyhow::{Context, Result, anyhow};
use hdrhistogram::Histogram;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Barrier;

/// The longest latency that a histogram records.
const LONGEST: Duration = Duration::from_secs(120);
/// The time that a system gets for its background work before and after a run.
const SETTLE: Duration = Duration::from_millis(500);

/// The limit of a run: a caller stops after this time or this many calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) time: Duration,
    pub(crate) calls: u64,
}

/// The result of one run. Latencies are in nanoseconds per operation.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) operations: u64,
    pub(crate) failures: u64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) per_second: f64,
    pub(crate) counters: Counters,
    pub(crate) first_error: Option<String>,
}

/// Prepares the callers, lets them loop until the limit, and lets the system settle.
pub(crate) async fn run(subject: &dyn Subject, callers: usize, limit: Limit) -> Result<Sample> {
    let ready = subject.callers(callers, limit.calls).await;
    let ready = ready.with_context(|| format!("preparing {callers} callers of `{}`", subject.name()))?;
    tokio::time::sleep(SETTLE).await;
    let before = subject.counters().await?;
    let barrier = Arc::new(Barrier::new(callers + 1));
    let mut loops = Vec::new();
    for caller in ready {
        loops.push(tokio::spawn(repeat(caller, limit, barrier.clone())));
    }
    barrier.wait().await;
    let began = Instant::now();
    let mut total = Tally::new()?;
    for task in loops {
        total.add(task.await??)?;
    }
    let elapsed = began.elapsed();
    tokio::time::sleep(SETTLE).await;
    let counters = subject.counters().await?.since(before);
    total.sample(elapsed, counters)
}

async fn repeat(mut caller: Box<dyn Caller>, limit: Limit, barrier: Arc<Barrier>) -> Result<Tally> {
    let mut tally = Tally::new()?;
    let operations = caller.operations();
    barrier.wait().await;
    let began = Instant::now();
    let mut calls = 0;
    while calls < limit.calls && began.elapsed() < limit.time {
        let sent = Instant::now();
        let result = caller.call().await;
        let whole = sent.elapsed();
        tally.note(caller.measured().unwrap_or(whole), operations, result)?;
        calls += 1;
    }
    Ok(tally)
}

/// Latencies of successful calls, and the failed ones.
struct Tally {
    latencies: Histogram<u64>,
    operations: u64,
    per_call: u64,
    failures: u64,
    first_error: Option<String>,
}
impl Tally {
    fn new() -> Result<Self> {
        let latencies = Histogram::new_with_max(LONGEST.as_nanos() as u64, 3)?;
        Ok(Tally { latencies, operations: 0, per_call: 1, failures: 0, first_error: None })
    }
    fn note(&mut self, took: Duration, operations: u64, result: Result<()>) -> Result<()> {
        self.per_call = operations;
        match result {
            Ok(()) => {
                self.operations += operations;
                self.latencies.record(took.min(LONGEST).as_nanos() as u64)?;
            }
            Err(error) => {
                self.failures += 1;
                self.first_error.get_or_insert_with(|| format!("{error:#}"));
            }
        }
        Ok(())
    }
    fn add(&mut self, other: Tally) -> Result<()> {
        self.latencies.add(&other.latencies)?;
        self.operations += other.operations;
        self.per_call = other.per_call;
        self.failures += other.failures;
        self.first_error = self.first_error.take().or(other.first_error);
        Ok(())
    }
    fn sample(self, elapsed: Duration, counters: Counters) -> Result<Sample> {
        if self.operations == 0 {
            let why = self.first_error.unwrap_or_else(|| "no call was made".to_owned());
            return Err(anyhow!("every call of a run failed; the first error: {why}"));
        }
        let quantile = |q| self.latencies.value_at_quantile(q) as f64 / self.per_call as f64;
        Ok(Sample {
            operations: self.operations,
            failures: self.failures,
            p50: quantile(0.5),
            p99: quantile(0.99),
            per_second: self.operations as f64 / elapsed.as_secs_f64(),
            counters,
            first_error: self.first_error,
        })
    }
}
