//! Many schedules on all cores; and of one that breaks, a simpler one that breaks the same.
use super::{
    chance::Chance,
    planted::Bug,
    stage::{Run, run},
    trace,
};
use crate::listener::lock;
use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

/// The first seed found below `count` that `breaks`.
pub(crate) fn search(count: u64, breaks: impl Fn(u64) -> bool + Sync) -> Option<u64> {
    let (next, found, stop) = (AtomicU64::new(0), Mutex::new(None), AtomicBool::new(false));
    let look = || {
        while !stop.load(Relaxed) {
            let seed = next.fetch_add(1, Relaxed);
            if seed >= count {
                return;
            }
            if breaks(seed) {
                lock(&found).get_or_insert(seed);
                stop.store(true, Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(look);
        }
    });
    found.into_inner().unwrap_or_default()
}

/// What happens in the schedule of a seed, made as simple as it can be.
pub(crate) fn story(seed: u64, bug: Bug) -> String {
    let Run { broken, choices, trace: whole, .. } = run(Chance::seeded(seed), bug, true);
    let Some(broken) = broken else { return format!("seed {seed}: it holds\n{}", trace::lines(&whole)) };
    let simple = simpler(choices, |it| {
        run(Chance::listed(it), bug, false).broken.is_some_and(|it| it.invariant == broken.invariant)
    });
    let Run { broken: same, trace: short, .. } = run(Chance::listed(simple), bug, true);
    let text = format!("seed {seed}: {broken}\n");
    match same.filter(|_| short.len() < whole.len()) {
        Some(same) => {
            let lines = format!("of its {} lines these {} break it as well: {same}", whole.len(), short.len());
            format!("{text}\n{lines}\n{}", trace::lines(&short))
        }
        None => text + &trace::lines(&whole),
    }
}

/// Fewer choices, and more of them harmless, that break the same.
fn simpler(mut choices: Vec<u32>, breaks: impl Fn(Vec<u32>) -> bool) -> Vec<u32> {
    let mut left = 2_000;
    let mut tried = |it: &Vec<u32>| {
        left -= 1;
        left > 0 && breaks(it.clone())
    };
    let mut size = choices.len() / 2;
    while size > 0 {
        let mut from = 0;
        while from < choices.len() {
            let to = (from + size).min(choices.len());
            if choices[from..to].iter().any(|it| *it > 0) {
                let mut candidate = choices.clone();
                candidate[from..to].fill(0);
                if tried(&candidate) {
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
