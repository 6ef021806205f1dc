//! The log against what callers know, and against those who read it beside the writers: I1, I2, I4, I8, I10.
use super::{Invariant, Notes, Outcome, Posting, Seen};
use crate::ledger::account::id_of;
use std::collections::{HashMap, HashSet};

pub(super) fn check(seen: &Seen, notes: &mut Notes) {
    let mut by_id: HashMap<u64, &Posting> = HashMap::with_capacity(seen.log.len());
    for posting in &seen.log {
        if by_id.insert(posting.id, posting).is_some() {
            notes.doubled(1, || format!("credit {:x} is in the log again at {}", posting.id, posting.at));
        }
    }
    versions(seen, notes);
    answers(seen, &by_id, notes);
    feeds(seen, notes);
}

/// 1 to n, in the order of the log.
fn versions(seen: &Seen, notes: &mut Notes) {
    let mut last: HashMap<&str, u64> = HashMap::new();
    for posting in &seen.log {
        let last = last.entry(&posting.key).or_default();
        if posting.seq != *last + 1 {
            let (key, seq, before) = (&posting.key, posting.seq, *last);
            notes.broken(Invariant::I8, 1, || format!("in the log {key} {seq} follows {before}"));
        }
        *last = (*last).max(posting.seq);
    }
}

fn answers(seen: &Seen, by_id: &HashMap<u64, &Posting>, notes: &mut Notes) {
    let mut answered: HashSet<(&str, u64)> = HashSet::new();
    for command in &seen.commands {
        let found = (0..command.count).filter_map(|place| by_id.get(&id_of(command.number, place))).count();
        match command.outcome {
            Outcome::Ok(first) => {
                for place in 0..command.count {
                    let (id, seq) = (id_of(command.number, place), first + place as u64);
                    if !answered.insert((&command.key, seq)) {
                        notes.broken(Invariant::I8, 1, || format!("{} {seq} was answered twice", command.key));
                    }
                    if by_id.get(&id).is_none_or(|it| it.seq != seq || it.key != command.key) {
                        notes.lost(|| format!("{} {seq}, credit {id:x}: answered, and not in the log", command.key));
                    }
                }
            }
            Outcome::Fail => {
                let number = command.number;
                notes.broken(Invariant::I2, found as u64, || format!("command {number:x} was refused, and happened"));
            }
            Outcome::Info => {}
        }
        if found != 0 && found != command.count {
            let (number, count) = (command.number, command.count);
            notes.broken(Invariant::I8, 1, || format!("of command {number:x} {found} of {count} credits happened"));
        }
    }
}

fn feeds(seen: &Seen, notes: &mut Notes) {
    for (number, feed) in seen.feeds.iter().enumerate() {
        let differs = feed.iter().zip(&seen.log).position(|(read, there)| read != there);
        let differs = differs.or((feed.len() != seen.log.len()).then_some(feed.len().min(seen.log.len())));
        if let Some(place) = differs {
            let missed = seen.log.len().abs_diff(feed.len()).max(1) as u64;
            let place = seen.log.get(place).map_or_else(|| "the end".to_owned(), |it| it.at.to_string());
            notes.broken(Invariant::I10, missed, || format!("reader {number} does not agree with the log at {place}"));
        }
    }
}
