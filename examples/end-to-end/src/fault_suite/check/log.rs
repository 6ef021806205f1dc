//! Checks the log against the callers' histories and against the readers of the log: I1, I2, I4, I8, I10.
use super::{Invariant, Notes, Outcome, Posting, Seen};
use crate::fault_suite::account::id_of;
use std::collections::{HashMap, HashSet};

pub(super) fn check(seen: &Seen, notes: &mut Notes) {
    let mut by_id: HashMap<u64, &Posting> = HashMap::with_capacity(seen.log.len());
    for posting in &seen.log {
        if by_id.insert(posting.id, posting).is_some() {
            notes.doubled(1, || format!("credit {:x} is in the log again at position {}", posting.id, posting.at));
        }
    }
    versions(seen, notes);
    responses(seen, &by_id, notes);
    log_reads(seen, notes);
}

/// Checks that the numbers of each account are 1 to n, in the order of the log.
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

fn responses(seen: &Seen, by_id: &HashMap<u64, &Posting>, notes: &mut Notes) {
    let mut returned: HashSet<(&str, u64)> = HashSet::new();
    for command in &seen.commands {
        let found = (0..command.count).filter_map(|index| by_id.get(&id_of(command.number, index))).count();
        match command.outcome {
            Outcome::Ok(first) => {
                for index in 0..command.count {
                    let (id, seq) = (id_of(command.number, index), first + index as u64);
                    if !returned.insert((&command.key, seq)) {
                        notes.broken(Invariant::I8, 1, || format!("{} {seq} was returned to two callers", command.key));
                    }
                    if by_id.get(&id).is_none_or(|posting| posting.seq != seq || posting.key != command.key) {
                        notes.lost(|| {
                            format!("{} {seq}, credit {id:x}: returned to the caller and not in the log", command.key)
                        });
                    }
                }
            }
            Outcome::Fail => {
                let number = command.number;
                notes.broken(Invariant::I2, found as u64, || {
                    format!("command {number:x} was refused and is in the log")
                });
            }
            Outcome::Info => {}
        }
        if found != 0 && found != command.count {
            let (number, count) = (command.number, command.count);
            notes.broken(Invariant::I8, 1, || {
                format!("{found} of the {count} credits of command {number:x} are in the log")
            });
        }
    }
}

fn log_reads(seen: &Seen, notes: &mut Notes) {
    for (number, entries) in seen.log_reads.iter().enumerate() {
        let differs = entries.iter().zip(&seen.log).position(|(read, logged)| read != logged);
        let differs = differs.or((entries.len() != seen.log.len()).then_some(entries.len().min(seen.log.len())));
        if let Some(index) = differs {
            let missed = seen.log.len().abs_diff(entries.len()).max(1) as u64;
            let at = seen.log.get(index).map_or_else(|| "the end".to_owned(), |posting| posting.at.to_string());
            notes.broken(Invariant::I10, missed, || format!("reader {number} differs from the log at {at}"));
        }
    }
}
