//! Runs scenarios one after the other and reports the result of each.
use super::{
    catalogue::{Expect, Name, Scenario},
    check::{Findings, check},
    fixture::{Fixture, Servers},
    table,
};
use anyhow::{Context, Result};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    process::ExitCode,
    time::{Duration, Instant},
};
use test_support::{PgBouncer, Redis};

/// The scenarios to run, and the way to run them.
pub(super) struct Options {
    pub(super) scenarios: Vec<&'static Scenario>,
    pub(super) seed: u64,
    /// Repeats the scenarios until this time has passed.
    pub(super) time: Option<Duration>,
    pub(super) short: bool,
    /// True if seeded bugs were selected by name. The exit code then says if an invariant broke.
    pub(super) seeded: bool,
    pub(super) json: bool,
}

/// The result of a scenario.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) description: &'static str,
    pub(super) seed: u64,
    pub(super) expected: String,
    pub(super) as_declared: bool,
    pub(super) verdict: String,
    pub(super) seconds: f64,
    #[serde(flatten)]
    pub(super) findings: Findings,
    /// The highest value of each measurement.
    pub(super) facts: BTreeMap<&'static str, f64>,
}

/// The time limit of a scenario. One that takes longer counts as hanging.
const LIMIT: Duration = Duration::from_secs(300);

pub(super) fn run(options: &Options) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    eprintln!("seed {}: starting PostgreSQL and Kafka", options.seed);
    let servers = match runtime.block_on(async { tokio::task::block_in_place(Servers::start) }) {
        Ok(servers) => servers,
        Err(missing) => {
            eprintln!("{missing}");
            return ExitCode::from(2);
        }
    };
    if options.scenarios.iter().any(|scenario| scenario.needs.pooler)
        && let Err(missing) = PgBouncer::find()
    {
        eprintln!("{missing}");
        return ExitCode::from(2);
    }
    if options.scenarios.iter().any(|scenario| scenario.needs.redis)
        && let Err(missing) = Redis::find()
    {
        eprintln!("{missing}");
        return ExitCode::from(2);
    }
    let rows = runtime.block_on(rounds(options, &servers));
    drop(servers);
    runtime.shutdown_timeout(Duration::from_secs(2));
    if options.json {
        table::json(options.seed, &rows)
    } else {
        table::print(options.seed, &rows)
    }
    let broke = rows.iter().any(|row| !row.findings.broken.is_empty());
    match (options.seeded, rows.iter().all(|row| row.as_declared)) {
        (false, true) => ExitCode::SUCCESS,
        (true, true) if broke => ExitCode::from(1),
        (true, false) if !broke => ExitCode::from(3),
        _ => ExitCode::from(1),
    }
}

async fn rounds(options: &Options, servers: &Servers) -> Vec<Row> {
    let (began, mut rows) = (Instant::now(), Vec::new());
    for round in 0.. {
        for (number, scenario) in options.scenarios.iter().enumerate() {
            if round > 0 && options.time.is_none_or(|time| began.elapsed() > time) {
                return rows;
            }
            let seed = options.seed + round;
            eprintln!("[{}/{}] {}: {}", number + 1, options.scenarios.len(), scenario.name, scenario.description);
            let row = run_one(scenario, servers, seed, options.short).await;
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

async fn run_one(scenario: &Scenario, servers: &Servers, seed: u64, short: bool) -> Row {
    let began = Instant::now();
    let mut fixture = match prepare(scenario, servers, seed, short).await {
        Ok(fixture) => fixture,
        Err(error) => return row(scenario, seed, began, Findings::default(), BTreeMap::new(), Err(error)),
    };
    let finished = tokio::time::timeout(LIMIT, execute(scenario, &mut fixture)).await;
    let finished = finished.unwrap_or_else(|_| Err(anyhow::anyhow!("the scenario was still running after {LIMIT:?}")));
    let (findings, judged) = match finished {
        Ok(findings) => {
            let judged = judge(scenario.expects, &findings);
            (findings, Ok(judged))
        }
        Err(error) => (Findings::default(), Err(error)),
    };
    if !judged.as_ref().is_ok_and(|(_, as_declared)| *as_declared) {
        eprintln!("       the files of the processes are in {}", fixture.keep());
    }
    row(scenario, seed, began, findings, std::mem::take(&mut fixture.facts), judged)
}

fn row(
    scenario: &Scenario,
    seed: u64,
    began: Instant,
    findings: Findings,
    facts: BTreeMap<&'static str, Vec<f64>>,
    judged: Result<(String, bool)>,
) -> Row {
    let (verdict, as_declared) = judged.unwrap_or_else(|error| (format!("could not be run: {error:#}"), false));
    let highest = |all: Vec<f64>| all.into_iter().fold(0.0, f64::max);
    Row {
        name: scenario.name.to_string(),
        description: scenario.description,
        seed,
        expected: match scenario.expects {
            Expect::Holds => "holds".to_owned(),
            Expect::Breaks(invariant) => format!("must break {invariant}"),
            Expect::Reports(invariant) => format!("must report {invariant}"),
        },
        as_declared,
        verdict,
        seconds: began.elapsed().as_secs_f64(),
        findings,
        facts: facts.into_iter().map(|(name, all)| (name, highest(all))).collect(),
    }
}

async fn prepare(scenario: &Scenario, servers: &Servers, seed: u64, short: bool) -> Result<Fixture> {
    let (name, seeded_bug) = match scenario.name {
        Name::Fault(number) => (format!("fault-{number}"), None),
        Name::SeededBug(name, seeded_bug) => (name.to_owned(), Some(seeded_bug)),
    };
    let servers = tokio::task::block_in_place(|| servers.with_own_servers(scenario.needs))?;
    let mut fixture = Fixture::new(servers, &name, seed, seeded_bug).await.context("cannot prepare the scenario")?;
    if short {
        fixture.scale = 0.5;
    }
    if matches!(scenario.expects, Expect::Breaks(_)) {
        fixture.patience = Duration::from_secs(5); // lost events never arrive, so waiting longer is useless
        fixture.scale *= 0.6;
    }
    Ok(fixture)
}

async fn execute(scenario: &Scenario, fixture: &mut Fixture) -> Result<Findings> {
    (scenario.run)(fixture).await?;
    let seen = fixture.finish().await?;
    Ok(tokio::task::block_in_place(|| check(&seen)))
}

/// Returns the verdict on the findings, and true if they are as the scenario declares.
fn judge(expects: Expect, findings: &Findings) -> (String, bool) {
    let broken = findings
        .broken
        .iter()
        .map(|found| format!("{} broke {} times: {}", found.invariant, found.times, found.example));
    let broken = broken.collect::<Vec<_>>().join("; ");
    match expects {
        _ if findings.events == 0 => ("no events were written".to_owned(), false),
        Expect::Holds if findings.broken.is_empty() => ("holds".to_owned(), true),
        Expect::Breaks(invariant) if findings.breaks(invariant) => (format!("caught: {broken}"), true),
        Expect::Reports(invariant) if findings.breaks(invariant) => (format!("reported: {broken}"), true),
        Expect::Holds => (format!("BROKEN: {broken}"), false),
        Expect::Breaks(invariant) if broken.is_empty() => (format!("NOT CAUGHT: {invariant} held"), false),
        Expect::Breaks(invariant) => (format!("NOT AS DECLARED: {invariant} held, and {broken}"), false),
        Expect::Reports(invariant) => (format!("NOT REPORTED: {invariant} held; {broken}"), false),
    }
}
