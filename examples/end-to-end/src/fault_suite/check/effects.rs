//! Checks the effects of the consumers against the topic: I1, I2, I3, I4.
use super::{Invariant, Notes, Posting, Seen};
use crate::fault_suite::{account::Posted, tally::Tally};
use std::collections::{BTreeMap, HashMap, HashSet};

pub(super) fn check(seen: &Seen, notes: &mut Notes) {
    let sent: HashSet<u64> = seen.topic.iter().map(|copy| copy.id).collect();
    if let Some(applied) = &seen.applied {
        subscriber(seen, &sent, applied, notes);
    }
    if let Some(tallies) = &seen.tallies {
        projection(seen, |id| sent.contains(&id), tallies, notes);
    }
    for views in [&seen.ledger, &seen.query_side].into_iter().flatten() {
        projection(seen, |_| true, views, notes);
    }
}

fn subscriber(seen: &Seen, sent: &HashSet<u64>, applied: &[Posting], notes: &mut Notes) {
    let mut ids = HashSet::with_capacity(applied.len());
    let mut last: HashMap<&str, u64> = HashMap::new();
    for posting in applied {
        if !ids.insert(posting.id) {
            notes.doubled(1, || format!("{} {} was applied again", posting.key, posting.seq));
            continue;
        }
        let last = last.entry(&posting.key).or_default();
        if posting.seq <= *last {
            let before = *last;
            notes.inverted(|| format!("{} {} was applied after {before}", posting.key, posting.seq));
        } else if posting.seq > *last + 1 && seen.parked.is_empty() {
            let before = *last;
            notes.broken(Invariant::I3, 1, || {
                format!("{} {} was applied directly after {before}", posting.key, posting.seq)
            });
        }
        *last = (*last).max(posting.seq);
    }
    if let Some(inbox_records) = seen.inbox_records.filter(|inbox_records| *inbox_records < ids.len() as u64) {
        let effects = ids.len();
        notes.broken(Invariant::I4, 1, || {
            format!("{effects} effects have only {inbox_records} inbox records; the rest could be applied again")
        });
    }
    for copy in seen.topic.iter().filter(|copy| !seen.parked.contains(&copy.id)) {
        if ids.insert(copy.id) {
            notes.lost(|| format!("{} {} is on the broker and was not applied", copy.key, copy.seq));
        }
    }
    for posting in applied.iter().filter(|posting| !sent.contains(&posting.id)) {
        notes.broken(Invariant::I2, 1, || {
            format!("{} {} was applied but is not on the broker", posting.key, posting.seq)
        });
    }
}

/// Compares the count, sum and digest of each view with the received part of the log, because a view has no list of the
/// applied credits.
fn projection(seen: &Seen, received: impl Fn(u64) -> bool, tallies: &BTreeMap<String, Tally>, notes: &mut Notes) {
    let mut expected: BTreeMap<&str, Tally> = BTreeMap::new();
    for Posting { key, seq, amount, id, .. } in seen.log.iter().filter(|posting| received(posting.id)) {
        let posted = Posted { key: key.clone(), seq: *seq, amount: *amount, id: *id };
        expected.entry(key).or_default().post(&posted);
    }
    for (key, expected) in &expected {
        let found = tallies.get(*key).cloned().unwrap_or_default();
        for _ in found.count - found.repeats.min(found.count)..expected.count {
            notes.lost(|| format!("{key}: {} of {} credits are in the projection", found.count, expected.count));
        }
        notes.doubled(found.repeats, || {
            format!("{key}: {} credits were applied to the projection again", found.repeats)
        });
        notes.broken(Invariant::I3, found.gaps, || {
            format!("{key}: the projection skipped credits {} times", found.gaps)
        });
        if found.count == expected.count && found.sum != expected.sum {
            notes.doubled(1, || format!("{key}: the projection's sum is {}, not {}", found.sum, expected.sum));
        }
        if found.count == expected.count && found.digest != expected.digest {
            notes.broken(Invariant::I3, 1, || format!("{key}: the projection applied other credits, or another order"));
        }
    }
    for key in tallies.keys().filter(|key| !expected.contains_key(key.as_str())) {
        notes.broken(Invariant::I2, 1, || format!("{key} is in the projection and was never credited"));
    }
}
