//! Searches many schedules on all cores, and simplifies a schedule that violates an invariant.
use super::{
    fixture::{Run, run},
    fleet::Programs,
    random::Random,
    seeded::Bug,
    trace,
};
use crate::listener::lock;
use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

/// Returns a seed below `count` whose schedule `violates` an invariant: the first one found.
pub(crate) fn search(count: u64, violates: impl Fn(u64) -> bool + Sync) -> Option<u64> {
    let (next, found, stop) = (AtomicU64::new(0), Mutex::new(None), AtomicBool::new(false));
    let worker = || {
        while !stop.load(Relaxed) {
            let seed = next.fetch_add(1, Relaxed);
            if seed >= count {
                return;
            }
            if violates(seed) {
                lock(&found).get_or_insert(seed);
                stop.store(true, Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(worker);
        }
    });
    found.into_inner().unwrap_or_default()
}

/// Returns the trace of a seed's schedule, as simple as possible if it violates an invariant.
pub(crate) fn trace_of(seed: u64, programs: Programs, bug: Bug) -> String {
    let Run { violation, choices, trace: whole, .. } = run(Random::from_seed(seed), programs, bug, true);
    let Some(violation) = violation else {
        return format!("seed {seed}: every invariant holds\n{}", trace::lines(&whole));
    };
    if std::env::var_os("CQRS_SIMULATION_WHOLE").is_some() {
        return format!("seed {seed}: {violation}\n{}", trace::lines(&whole));
    }
    let simple = simpler(choices, |choices| {
        let found = run(Random::from_list(choices), programs, bug, false).violation;
        found.is_some_and(|found| found.invariant == violation.invariant)
    });
    let Run { violation: same, trace: short, .. } = run(Random::from_list(simple), programs, bug, true);
    let text = format!("seed {seed}: {violation}\n");
    match same.filter(|_| short.len() < whole.len()) {
        Some(same) => {
            let lines = format!("of {} lines, these {} violate it as well: {same}", whole.len(), short.len());
            format!("{text}\n{lines}\n{}", trace::lines(&short))
        }
        None => text + &trace::lines(&whole),
    }
}

/// Returns fewer choices, more of them harmless, that still violate the invariant.
fn simpler(mut choices: Vec<u32>, violates: impl Fn(Vec<u32>) -> bool) -> Vec<u32> {
    let mut left = 2_000;
    let mut still_violates = |candidate: &Vec<u32>| {
        left -= 1;
        left > 0 && violates(candidate.clone())
    };
    let mut size = choices.len() / 2;
    while size > 0 {
        let mut from = 0;
        while from < choices.len() {
            let to = (from + size).min(choices.len());
            if choices[from..to].iter().any(|choice| *choice > 0) {
                let mut candidate = choices.clone();
                candidate[from..to].fill(0);
                if still_violates(&candidate) {
                    choices = candidate;
                }
            }
            from = to;
        }
        size /= 2;
    }
    while choices.last() == Some(&0) {
        choices.pop();
    }
    choices
}
