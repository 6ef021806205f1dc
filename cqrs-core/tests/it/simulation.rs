//! Deterministic simulation: the framework's engines run with a simulated environment, database and broker.
//!
//! One seed decides order, delays, duplicates, lost responses, crashes and zombie processes. A failure reports its
//! seed, and the seed reproduces the failure.
//!
//! `CQRS_SIMULATION_SCHEDULES` sets the number of schedules. `CQRS_SIMULATION_SEED` runs one schedule and prints its
//! trace. `CQRS_SIMULATION_STORY` prints how each seeded bug was found. `CQRS_SIMULATION_WHOLE` looks for no shorter schedule
//! of a violation, which takes a while if the schedule is long.
mod actor; // engines and clients
mod audit; // invariants
mod broker; // topics and groups
mod database; // positions, leases, lost responses
mod engine; // stepped as a running app does it
mod environment; // tasks and virtual time
mod fixture; // one schedule
mod fleet; // deploys and rollbacks of two programs
mod flows; // a process manager
mod process; // crashes, freezes and stops as one
mod programs; // the programs of a mixed fleet
mod random; // the source of every choice
mod rule; // a rule over several aggregates
mod search; // many schedules, and the simplification of one
mod seeded; // bugs that must be found
mod service; // commands, subscribers, projections
mod timed; // scheduled commands
mod trace; // readable output

use crate::listener::lock;
use fixture::run;
use fleet::Programs;
use libtest_mimic::{Failed, Trial};
use random::Random;
use search::{search, trace_of};
use seeded::{Bug, SEEDED, SEEDED_IN_FLEETS};
use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

/// The default number of schedules, which takes about ten seconds.
const SCHEDULES: u64 = 2_000;
/// The number of schedules within which a seeded bug must be found.
const BOUND: u64 = 20_000;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("simulation: without a bug every schedule keeps every invariant", every_schedule_holds),
        Trial::test("simulation: schedules that once found a bug keep every invariant", found_before),
        Trial::test("simulation: a seed always gives the same schedule", one_seed_twice),
    ];
    trials.extend(rule::trials());
    trials.extend(timed::trials());
    trials.extend(flows::trials());
    for (bug, invariant) in SEEDED {
        let name = format!("simulation: seeded: {bug:?} is caught by \"{invariant}\"");
        trials.push(Trial::test(name, move || is_caught(bug, Programs::One, invariant)));
    }
    for (bug, invariant) in SEEDED_IN_FLEETS {
        let name = format!("simulation: seeded: in a mixed fleet {bug:?} is caught by \"{invariant}\"");
        trials.push(Trial::test(name, move || is_caught(bug, Programs::Two, invariant)));
    }
    trials
}

/// Seeds of schedules that once found a bug of the engines, with the bug. A seed keeps its meaning only while the
/// simulation makes the same choices in the same order.
const FOUND: [(u64, &str); 1] =
    [(54_054, "a projection that parked an event without knowing it went past later events of the key")];

fn found_before() -> Result<(), Failed> {
    for (seed, bug) in FOUND {
        let programs = Programs::of(seed);
        if run(Random::from_seed(seed), programs, Bug::None, false).violation.is_some() {
            return Err(Failed::from(format!("{bug}\n{}", trace_of(seed, programs, Bug::None))));
        }
    }
    Ok(())
}

fn every_schedule_holds() -> Result<(), Failed> {
    if let Some(seed) = number("CQRS_SIMULATION_SEED") {
        let programs = Programs::of(seed);
        let trace = trace_of(seed, programs, Bug::None);
        return match run(Random::from_seed(seed), programs, Bug::None, false).violation {
            Some(_) => Err(Failed::from(trace)),
            None => {
                print!("{trace}");
                Ok(())
            }
        };
    }
    let (began, ran, virtual_time) = (Instant::now(), AtomicU64::new(0), AtomicU64::new(0));
    let count = number("CQRS_SIMULATION_SCHEDULES").unwrap_or(SCHEDULES);
    let found = search(count, |seed| {
        let run = run(Random::from_seed(seed), Programs::of(seed), Bug::None, false);
        ran.fetch_add(1, Relaxed);
        virtual_time.fetch_add(run.ended_at, Relaxed);
        run.violation.is_some()
    });
    let hours = virtual_time.into_inner() as f64 / environment::SECOND as f64 / 3600.0;
    eprintln!("{} schedules, {hours:.1} simulated hours, in {:.1?}", ran.into_inner(), began.elapsed());
    found.map_or(Ok(()), |seed| Err(Failed::from(trace_of(seed, Programs::of(seed), Bug::None))))
}

/// Shows that only the seed decides, and no hash, address, thread or clock.
fn one_seed_twice() -> Result<(), Failed> {
    for seed in 0..100 {
        let [first, second] = [(); 2].map(|()| run(Random::from_seed(seed), Programs::of(seed), Bug::None, true));
        if first.trace != second.trace || first.choices != second.choices {
            return Err(Failed::from(format!("seed {seed} gives two schedules")));
        }
    }
    Ok(())
}

fn is_caught(bug: Bug, programs: Programs, invariant: &str) -> Result<(), Failed> {
    let others = Mutex::new(BTreeMap::<&str, u64>::new());
    let found = search(BOUND, |seed| {
        let violation = run(Random::from_seed(seed), programs, bug, false).violation;
        if let Some(violation) = &violation {
            *lock(&others).entry(violation.invariant).or_default() += 1;
        }
        violation.is_some_and(|violation| violation.invariant == invariant)
    });
    let others = others.into_inner().unwrap_or_default();
    let Some(seed) = found else {
        return Err(Failed::from(format!(
            "none of {BOUND} schedules violates \"{invariant}\"; other violations: {others:?}"
        )));
    };
    if std::env::var_os("CQRS_SIMULATION_STORY").is_some() {
        eprintln!("{bug:?}, {others:?}: {}", trace_of(seed, programs, bug));
    }
    Ok(())
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
