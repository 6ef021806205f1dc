//! The framework's own engines on a simulated machine, database and broker: one seed decides order, delay, duplicates, lost answers,
//! crashes and zombies. Whatever breaks says its seed, and the seed breaks it again.
//!
//! `CQRS_SIMULATION_SCHEDULES` says how many; `CQRS_SIMULATION_SEED` runs one and tells what happens in it.
mod actor; // what runs
mod audit; // what must hold
mod broker; // topics and groups
mod chance; // where every choice comes from
mod database; // positions, leases, lost answers
mod machine; // tasks and virtual time
mod planted; // bugs that must be found
mod process; // what crashes as one
mod service; // commands, subscribers, projections
mod stage; // one schedule
mod trace; // for people

use chance::Chance;
use libtest_mimic::{Failed, Trial};
use planted::{Bug, PLANTED};
use stage::{Run, run};
use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

/// So many take about ten seconds.
const SCHEDULES: u64 = 5_000;
/// A planted bug is found within so many.
const BOUND: u64 = 5_000;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("simulation: without a bug every schedule holds", every_schedule_holds),
        Trial::test("simulation: one seed twice is one schedule", one_seed_twice),
    ];
    for (bug, invariant) in PLANTED {
        let name = format!("simulation: planted: {bug:?} is caught by \"{invariant}\"");
        trials.push(Trial::test(name, move || is_caught(bug, invariant)));
    }
    trials
}

fn every_schedule_holds() -> Result<(), Failed> {
    if let Some(seed) = number("CQRS_SIMULATION_SEED") {
        let Run { broken, trace, .. } = run(Chance::seeded(seed), Bug::None, true);
        print!("{}", trace::lines(&trace));
        return broken.map_or(Ok(()), |broken| Err(Failed::from(format!("seed {seed}: {broken}"))));
    }
    let began = Instant::now();
    let count = number("CQRS_SIMULATION_SCHEDULES").unwrap_or(SCHEDULES);
    let steps = AtomicU64::new(0);
    let time = AtomicU64::new(0);
    let found = search(count, |seed| {
        let run = run(Chance::seeded(seed), Bug::None, false);
        steps.fetch_add(run.choices.len() as u64, Relaxed);
        time.fetch_add(run.ended_at, Relaxed);
        run.broken.is_some()
    });
    eprintln!("{:?} {}", database::COUNTS.lock(), time.load(Relaxed) / count);
    eprintln!("{count} schedules, {} choices, {:.1?}", steps.load(Relaxed), began.elapsed());
    found.map_or(Ok(()), |seed| Err(Failed::from(story(seed, Bug::None))))
}

/// The first seed found that `breaks`, on all cores.
fn search(count: u64, breaks: impl Fn(u64) -> bool + Sync) -> Option<u64> {
    let (next, found, stop) = (AtomicU64::new(0), Mutex::new(None), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= count {
                        return;
                    }
                    if breaks(seed) {
                        crate::listener::lock(&found).get_or_insert(seed);
                        stop.store(true, Relaxed);
                    }
                }
            });
        }
    });
    found.into_inner().unwrap_or_default()
}

fn story(seed: u64, bug: Bug) -> String {
    let Run { broken, trace, .. } = run(Chance::seeded(seed), bug, true);
    let broken = broken.map_or_else(|| "not broken the second time".to_owned(), |it| it.to_string());
    format!("seed {seed}: {broken}\n{}", trace::lines(&trace))
}

fn one_seed_twice() -> Result<(), Failed> {
    for seed in 0..200 {
        let [first, second] = [(); 2].map(|()| run(Chance::seeded(seed), Bug::None, true));
        if first.trace != second.trace || first.choices != second.choices {
            return Err(Failed::from(format!("seed {seed} is two schedules")));
        }
    }
    Ok(())
}

fn is_caught(bug: Bug, invariant: &str) -> Result<(), Failed> {
    let others = Mutex::new(std::collections::BTreeMap::<&str, u64>::new());
    let found = search(BOUND, |seed| {
        let broken = run(Chance::seeded(seed), bug, false).broken;
        if let Some(broken) = &broken {
            *crate::listener::lock(&others).entry(broken.invariant).or_default() += 1;
        }
        broken.is_some_and(|it| it.invariant == invariant)
    });
    let others = others.into_inner().unwrap_or_default();
    if std::env::var_os("CQRS_SIMULATION_STORY").is_some() {
        eprintln!("{bug:?}: {found:?} {others:?}\n{}", found.map(|seed| story(seed, bug)).unwrap_or_default());
    }
    match found {
        Some(_) => Ok(()),
        None => Err(Failed::from(format!("{BOUND} schedules, and none breaks \"{invariant}\"; others: {others:?}"))),
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
