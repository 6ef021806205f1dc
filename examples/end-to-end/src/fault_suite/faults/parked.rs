//! A service with a million parked messages.
use super::{consumer::CALM, database::STATEMENT_TIMEOUT};
use crate::fault_suite::{
    check::Invariant::{I1, I9},
    fixture::{Fixture, Operator, Redelivery},
    mirror::GROUP,
    node::{REFUSAL, Role},
    probes::database,
};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sqlx::PgPool;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// The messages that are parked by SQL, and the keys that they are spread over.
const MESSAGES: i64 = 1_000_000;
const KEYS: i64 = 100_000;
/// The readers of these messages, each with half of them.
const READERS: [&str; 2] = [GROUP, "projection/tally"];
/// The accounts whose credits are parked because the handler refuses them. Later commands are on other accounts, so that a
/// redelivery ends on a slow machine as well.
const REFUSED: [&str; 10] = ["k105", "k110", "k115", "k120", "k125", "k130", "k135", "k140", "k145", "k150"];
/// The number of accounts of the later commands.
const LATER_KEYS: u64 = 100;
/// The number of their messages that are parked at least.
const PARKED_CREDITS: i64 = 40;
/// Keys that were parked by SQL sort before this text, and the accounts after it.
const LAST_FILLED: &str = "filled-~";
/// The number up to which a scrape counts the parked messages of a reader.
const COUNTED: &str = "10000";
/// The number of scrapes whose reads are counted.
const SCRAPES: u32 = 5;
/// The largest number of messages that a redelivery tries in a second.
const RATE: u64 = 10;
/// The time in which a service starts, and that of an operator's act.
const PATIENCE: Duration = Duration::from_secs(90);
/// The longest time in which the subscriber applies nothing.
const STANDSTILL: Duration = Duration::from_secs(20);

/// Some credits are parked because their accounts are refused. A million messages are parked by SQL, and the services start.
/// They handle new messages and serve health and metrics. An operator counts the messages, and redelivers those of a reader
/// and then those of the refused accounts: at a rate, stopped, and continued.
///
/// Statements end after two seconds here, so none may read all parked messages.
pub(in crate::fault_suite) async fn a_million(fixture: &mut Fixture) -> Result<()> {
    // With the bug, each redelivery handles the same messages again.
    let is_seeded = fixture.template.seeded_bug.is_some();
    let (messages, keys) = if is_seeded { (MESSAGES / 50, KEYS / 50) } else { (MESSAGES, KEYS) };
    fixture.leaves_parked = true;
    fixture.template.statement_timeout = STATEMENT_TIMEOUT;
    fixture.template.serves_operations = true;
    for (name, role) in [("relay", Role::Relay), ("projection", Role::Projection)] {
        fixture.start(name, role)?;
    }
    fixture.start_with("consumer", Role::Consumer, |config| {
        config.behaviour.refused = REFUSED.map(str::to_owned).to_vec();
    })?;
    fixture.start_with("writer", Role::Writer, |config| config.writing.rate = CALM / 2)?;
    fixture.wait_for_effect(PATIENCE).await?;
    let began = Instant::now();
    while database::count_parked(&fixture.effects_probe, GROUP, &REFUSED).await? < PARKED_CREDITS {
        ensure!(began.elapsed() < PATIENCE, "fewer than {PARKED_CREDITS} credits were parked");
        fixture.wait(Duration::from_millis(200)).await;
    }
    for name in ["writer", "consumer", "projection"] {
        fixture.end(name).await?;
    }
    fixture.restart_with("writer", |config| config.writing.keys = LATER_KEYS)?;
    let filling = Instant::now();
    for reader in READERS {
        database::fill_parked(&fixture.effects_probe, reader, messages / 2, keys / 2).await?;
    }
    fixture.fact("filled s", filling.elapsed().as_secs_f64());

    let starting = Instant::now();
    fixture.restart_with("consumer", |config| config.behaviour.refused.clear())?;
    fixture.restart("projection", None)?;
    let operator = fixture.operator("consumer", PATIENCE).await?;
    fixture.operator("projection", PATIENCE).await?;
    fixture.fact("ready s", starting.elapsed().as_secs_f64());
    fixture.wait_for_effect(PATIENCE).await?;
    fixture.fact("first message s", starting.elapsed().as_secs_f64());
    let pulse = Pulse::of(&fixture.effects_probe);
    let (unindexed, _) = database::parked_rows_read(&fixture.effects_probe).await?;
    scraped(fixture, &operator, messages).await?;
    counted(fixture, &operator, messages, keys).await?;
    redelivered_by_reader(fixture, &operator).await?;
    redelivered_by_error(fixture, &operator).await?;
    let (unindexed_now, _) = database::parked_rows_read(&fixture.effects_probe).await?;
    if unindexed_now - unindexed >= messages {
        fixture
            .violation(I9, format!("statements have read {} parked rows without an index", unindexed_now - unindexed));
    }
    let standstill = pulse.stop().await?;
    fixture.fact("standstill s", standstill.as_secs_f64());
    if standstill > STANDSTILL {
        fixture.violation(I9, format!("the subscriber has applied nothing for {standstill:?}"));
    }
    let left = database::filled(&fixture.effects_probe).await?;
    if left != messages {
        fixture.violation(I1, format!("{left} of {messages} parked messages that nothing can handle are left"));
    }
    Ok(())
}

/// Scrapes the metrics several times: the gauges are there, and the scrapes do not read all parked messages.
async fn scraped(fixture: &mut Fixture, operator: &Operator, messages: i64) -> Result<()> {
    let is_gauge = |line: &&str| line.starts_with("cqrs_parked_messages{") && line.contains(&format!("\"{GROUP}\""));
    let began = Instant::now();
    loop {
        let (_, metrics) = operator.get("/metrics").await?;
        let gauge = metrics.lines().find(is_gauge).and_then(|line| line.rsplit(' ').next());
        if gauge == Some(COUNTED) {
            break;
        }
        ensure!(began.elapsed() < PATIENCE, "the gauge of parked messages is {gauge:?}, not {COUNTED}");
        fixture.wait(Duration::from_millis(500)).await;
    }
    let (_, before) = database::parked_rows_read(&fixture.effects_probe).await?;
    let scraping = Instant::now();
    for _ in 0..SCRAPES {
        operator.get("/metrics").await?;
        let (status, health) = operator.get("/health/ready").await?;
        ensure!(status == 200, "a service with parked messages is not ready: {health}");
    }
    fixture.fact("scrape s", scraping.elapsed().as_secs_f64() / f64::from(SCRAPES));
    let (_, after) = database::parked_rows_read(&fixture.effects_probe).await?;
    fixture.fact("parked rows of the scrapes", (after - before) as f64);
    if after - before >= messages.max(MESSAGES) {
        fixture.violation(I9, format!("{SCRAPES} scrapes have read {} parked rows", after - before));
    }
    Ok(())
}

/// Counts the messages of the subscriber, which changes nothing.
async fn counted(fixture: &mut Fixture, operator: &Operator, messages: i64, keys: i64) -> Result<()> {
    let counting = Instant::now();
    let found = operator.post("/parked/redeliver", &[("reader", GROUP), ("dry_run", "true")]).await?;
    fixture.fact("dry run s", counting.elapsed().as_secs_f64());
    let (of_messages, of_keys) = (found["would_redeliver"].as_i64(), found["keys"].as_i64());
    ensure!(
        of_messages >= Some(messages / 2 + PARKED_CREDITS) && of_keys > Some(keys / 2),
        "the dry run has counted {found}"
    );
    ensure!(database::redelivered(&fixture.effects_probe).await? == 0, "a dry run has redelivered messages");
    Ok(())
}

/// Redelivers all messages of the subscriber at a rate, and stops and continues. Those that were parked by SQL cannot be
/// read, so each of their keys fails at once and stays parked.
async fn redelivered_by_reader(fixture: &mut Fixture, operator: &Operator) -> Result<()> {
    let rate = RATE.to_string();
    let selection = [("reader", GROUP), ("rate", &rate)];
    let has_failed = |progress: &Value| progress["failed_keys"].as_u64() > Some(0);
    let began = Instant::now();
    let first = until(operator.redeliver(&selection).await?, has_failed).await?;
    fixture.fact("first report s", began.elapsed().as_secs_f64());
    let place = |progress: &Value| progress["after"]["key"].as_str().map(str::to_owned).context("no key is finished");
    let stopped_at = place(&first)?;
    let rest = [selection[0], selection[1], ("after_reader", GROUP), ("after_key", &stopped_at)];
    let second = until(operator.redeliver(&rest).await?, has_failed).await?;
    ensure!(place(&second)? > stopped_at, "the redelivery has not gone on after {stopped_at}: {second}");
    for progress in [first, second] {
        let (tried, seconds) = (progress["failed_keys"].as_u64(), progress["seconds"].as_u64());
        ensure!(tried <= seconds.map(|seconds| (seconds + 2) * RATE), "the rate was not kept: {progress}");
    }
    Ok(())
}

/// Redelivers the credits of the refused accounts: stopped once, and continued to the end.
async fn redelivered_by_error(fixture: &mut Fixture, operator: &Operator) -> Result<()> {
    let rate = RATE.to_string();
    let selection = [("reader", GROUP), ("error", REFUSAL), ("rate", &rate)];
    // Without the error: the later messages of the account at which it was stopped have another one.
    let rest = [selection[0], ("after_reader", GROUP), ("after_key", LAST_FILLED)];
    let has_begun = |progress: &Value| progress["done"].as_u64() > Some(0);
    drop(until(operator.redeliver(&selection).await?, has_begun).await?);
    fixture.wait(Duration::from_secs(1)).await;
    let stopped = database::redelivered(&fixture.effects_probe).await?;
    fixture.wait(Duration::from_secs(2)).await;
    let later = database::redelivered(&fixture.effects_probe).await?;
    ensure!(stopped > 0 && stopped == later, "{} messages were handled after the stop", later - stopped);
    let began = Instant::now();
    loop {
        let finished = until(operator.redeliver(&rest).await?, |progress| progress["finished"] == true).await?;
        ensure!(finished["failed_keys"] == 0, "messages fail again: {finished}");
        let left = database::count_parked(&fixture.effects_probe, GROUP, &REFUSED).await?;
        if left == 0 || fixture.template.seeded_bug.is_some() {
            break;
        }
        ensure!(began.elapsed() < PATIENCE, "{left} messages are parked although all were redelivered");
    }
    let redelivered = database::redelivered(&fixture.effects_probe).await?;
    fixture.fact("redelivered", redelivered as f64);
    Ok(())
}

/// Reads the reports of a redelivery until one is enough, and then stops it.
async fn until(mut redelivery: Redelivery, is_enough: impl Fn(&Value) -> bool) -> Result<Value> {
    let (mut tried, mut since) = (0, Instant::now());
    while let Some(progress) = redelivery.next().await? {
        if is_enough(&progress) {
            return Ok(progress);
        }
        let now = progress["done"].as_u64().max(progress["failed_keys"].as_u64()).unwrap_or_default();
        if now > tried {
            (tried, since) = (now, Instant::now());
        }
        ensure!(since.elapsed() < PATIENCE, "the redelivery does not go on: {progress}");
    }
    bail!("the redelivery has ended too early")
}

/// Measures the longest time in which the subscriber applies nothing.
struct Pulse {
    is_stopped: Arc<AtomicBool>,
    longest: JoinHandle<Duration>,
}
impl Pulse {
    fn of(effects: &PgPool) -> Pulse {
        let (effects, is_stopped) = (effects.clone(), Arc::new(AtomicBool::new(false)));
        let stopped = is_stopped.clone();
        let longest = tokio::spawn(async move {
            let (mut count, mut since, mut longest) = (0, Instant::now(), Duration::ZERO);
            while !stopped.load(Ordering::SeqCst) {
                if let Ok(now) = database::count(&effects).await
                    && now != count
                {
                    (count, since) = (now, Instant::now());
                }
                longest = longest.max(since.elapsed());
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            longest
        });
        Pulse { is_stopped, longest }
    }
    async fn stop(self) -> Result<Duration> {
        self.is_stopped.store(true, Ordering::SeqCst);
        Ok(self.longest.await?)
    }
}
