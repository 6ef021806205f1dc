//! Runs scenarios one after the other, and says what came of each.
use super::{
    catalogue::{Expect, Name, Scenario},
    check::{Findings, check},
    stage::{Parts, Stage},
    table,
};
use anyhow::{Context, Result};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    process::ExitCode,
    time::{Duration, Instant},
};

/// What is to be run.
pub(super) struct Wish {
    pub(super) scenarios: Vec<&'static Scenario>,
    pub(super) seed: u64,
    /// Goes on for so long.
    pub(super) time: Option<Duration>,
    pub(super) short: bool,
    /// Bugs were asked for by name: then a broken invariant is what the exit code says.
    pub(super) planted: bool,
    pub(super) json: bool,
}

/// What came of a scenario.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) what: &'static str,
    pub(super) seed: u64,
    pub(super) expected: String,
    pub(super) as_declared: bool,
    pub(super) verdict: String,
    pub(super) seconds: f64,
    #[serde(flatten)]
    pub(super) findings: Findings,
    /// What was measured: the highest of each.
    pub(super) facts: BTreeMap<&'static str, f64>,
}

/// A scenario that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(240);

pub(super) fn run(wish: &Wish) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    eprintln!("seed {}: PostgreSQL and Kafka are started", wish.seed);
    let parts = match runtime.block_on(async { tokio::task::block_in_place(Parts::start) }) {
        Ok(parts) => parts,
        Err(missing) => {
            eprintln!("{missing}");
            return ExitCode::from(2);
        }
    };
    let rows = runtime.block_on(rounds(wish, &parts));
    drop(parts);
    runtime.shutdown_timeout(Duration::from_secs(2));
    if wish.json {
        table::json(wish.seed, &rows)
    } else {
        table::print(wish.seed, &rows)
    }
    let broke = rows.iter().any(|it| !it.findings.broken.is_empty());
    match (wish.planted, rows.iter().all(|it| it.as_declared)) {
        (false, true) => ExitCode::SUCCESS,
        (true, true) if broke => ExitCode::from(1),
        (true, false) if !broke => ExitCode::from(3),
        _ => ExitCode::from(1),
    }
}

async fn rounds(wish: &Wish, parts: &Parts) -> Vec<Row> {
    let (began, mut rows) = (Instant::now(), Vec::new());
    for round in 0.. {
        for (number, scenario) in wish.scenarios.iter().enumerate() {
            if round > 0 && wish.time.is_none_or(|time| began.elapsed() > time) {
                return rows;
            }
            let seed = wish.seed + round;
            eprintln!("[{}/{}] {}: {}", number + 1, wish.scenarios.len(), scenario.name, scenario.what);
            let row = one(scenario, parts, seed, wish.short).await;
            let Findings { events, lost, doubled, inverted, duplicates, .. } = row.findings;
            eprintln!(
                "       {events} events, {lost} lost, {doubled} doubled, {inverted} inverted, {duplicates} duplicates, \
                 {:.1} s: {}",
                row.seconds, row.verdict
            );
            rows.push(row);
        }
    }
    rows
}

async fn one(scenario: &Scenario, parts: &Parts, seed: u64, short: bool) -> Row {
    let began = Instant::now();
    let mut stage = match set(scenario, parts, seed, short).await {
        Ok(stage) => stage,
        Err(error) => return row(scenario, seed, began, Findings::default(), BTreeMap::new(), Err(error)),
    };
    let played = tokio::time::timeout(LIMIT, played(scenario, &mut stage)).await;
    let played = played.unwrap_or_else(|_| Err(anyhow::anyhow!("it was still running after {LIMIT:?}")));
    let (findings, judged) = match played {
        Ok(findings) => {
            let judged = judge(scenario.expects, &findings);
            (findings, Ok(judged))
        }
        Err(error) => (Findings::default(), Err(error)),
    };
    if !judged.as_ref().is_ok_and(|(_, as_declared)| *as_declared) {
        eprintln!("       what the processes said is in {}", stage.keep());
    }
    row(scenario, seed, began, findings, std::mem::take(&mut stage.facts), judged)
}

fn row(
    scenario: &Scenario,
    seed: u64,
    began: Instant,
    findings: Findings,
    facts: BTreeMap<&'static str, Vec<f64>>,
    judged: Result<(String, bool)>,
) -> Row {
    let (verdict, as_declared) = judged.unwrap_or_else(|error| (format!("it could not be played: {error:#}"), false));
    let highest = |all: Vec<f64>| all.into_iter().fold(0.0, f64::max);
    Row {
        name: scenario.name.to_string(),
        what: scenario.what,
        seed,
        expected: match scenario.expects {
            Expect::Holds => "holds".to_owned(),
            Expect::Breaks(which) => format!("must break {which}"),
            Expect::Reports(which) => format!("{which} reported"),
        },
        as_declared,
        verdict,
        seconds: began.elapsed().as_secs_f64(),
        findings,
        facts: facts.into_iter().map(|(what, all)| (what, highest(all))).collect(),
    }
}

async fn set(scenario: &Scenario, parts: &Parts, seed: u64, short: bool) -> Result<Stage> {
    let (name, plant) = match scenario.name {
        Name::Fault(number) => (format!("fault-{number}"), None),
        Name::Plant(name, plant) => (name.to_owned(), Some(plant)),
    };
    let parts = tokio::task::block_in_place(|| parts.of_ones_own(scenario.needs))?;
    let mut stage = Stage::set(parts, &name, seed, plant).await.context("the stage")?;
    if short {
        stage.scale = 0.5;
    }
    if matches!(scenario.expects, Expect::Breaks(_)) {
        stage.patience = Duration::from_secs(5); // what was lost never comes
        stage.scale *= 0.6;
    }
    Ok(stage)
}

async fn played(scenario: &Scenario, stage: &mut Stage) -> Result<Findings> {
    (scenario.play)(stage).await?;
    let seen = stage.finish().await?;
    Ok(tokio::task::block_in_place(|| check(&seen)))
}

/// What is said of it, and whether that was declared.
fn judge(expects: Expect, findings: &Findings) -> (String, bool) {
    let broken = findings.broken.iter().map(|it| format!("{} broke {} times: {}", it.invariant, it.times, it.example));
    let broken = broken.collect::<Vec<_>>().join("; ");
    match expects {
        _ if findings.events == 0 => ("nothing happened".to_owned(), false),
        Expect::Holds if findings.broken.is_empty() => ("holds".to_owned(), true),
        Expect::Breaks(which) if findings.breaks(which) => (format!("caught: {broken}"), true),
        Expect::Reports(which) if findings.breaks(which) => (format!("reported: {broken}"), true),
        Expect::Holds => (format!("BROKEN: {broken}"), false),
        Expect::Breaks(which) if broken.is_empty() => (format!("NOT CAUGHT: {which} held"), false),
        Expect::Breaks(which) => (format!("NOT AS DECLARED: {which} held, and {broken}"), false),
        Expect::Reports(which) => (format!("NOT REPORTED: {which} held; {broken}"), false),
    }
}
