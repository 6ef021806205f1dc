//! Checks the topic against the log (I1, I2, I3, I5, I6), and the acknowledged offsets after crashes (I7).
use super::{Copied, Invariant, Notes, Seen};
use std::collections::{BTreeSet, HashMap, HashSet};

pub(super) fn check(seen: &Seen, notes: &mut Notes) {
    let log: HashSet<(u64, &str, u64)> =
        seen.log.iter().map(|posting| (posting.id, posting.key.as_str(), posting.seq)).collect();
    let mut ids: HashSet<u64> = HashSet::with_capacity(seen.topic.len());
    let mut partitions: HashMap<&str, BTreeSet<i32>> = HashMap::new();
    for copy in &seen.topic {
        partitions.entry(&copy.key).or_default().insert(copy.partition);
        if !log.contains(&(copy.id, copy.key.as_str(), copy.seq)) {
            notes.broken(Invariant::I2, 1, || format!("{} is on the broker and not in the log", name(copy)));
        }
        notes.counts.duplicates += u64::from(!ids.insert(copy.id));
    }
    let is_missing = |id: &u64| !ids.contains(id) && !seen.parked.contains(id);
    for posting in seen.log.iter().filter(|posting| is_missing(&posting.id)) {
        notes.lost(|| format!("{} {}, credit {:x}, is not on the broker", posting.key, posting.seq, posting.id));
    }
    for (key, partitions) in partitions.iter().filter(|(_, all)| all.len() > 1) {
        notes.broken(Invariant::I5, 1, || format!("{key} is in the partitions {partitions:?}"));
    }
    if notes.counts.duplicates > seen.allowed {
        let (found, allowed) = (notes.counts.duplicates, seen.allowed);
        notes.broken(Invariant::I6, found - allowed, || {
            format!("{found} duplicates; the faults explain at most {allowed}")
        });
    }
    for shard in &seen.went_back {
        notes.broken(Invariant::I6, 1, || format!("the checkpoint of {shard} went back"));
    }
    order(seen, &partitions, notes);
    crashes(seen, notes);
}

/// Checks that first occurrences of a key are in order and without gaps. Across partitions there is no order.
fn order(seen: &Seen, partitions: &HashMap<&str, BTreeSet<i32>>, notes: &mut Notes) {
    let mut last: HashMap<(&str, i32), u64> = HashMap::new();
    let mut known: HashSet<u64> = HashSet::with_capacity(seen.topic.len());
    for copy in seen.topic.iter().filter(|copy| known.insert(copy.id)) {
        let last = last.entry((&copy.key, copy.partition)).or_default();
        if copy.seq <= *last {
            let before = *last;
            notes.inverted(|| format!("{} comes after {before}", name(copy)));
        } else if copy.seq > *last + 1 && partitions[copy.key.as_str()].len() == 1 && seen.parked.is_empty() {
            let before = *last;
            notes.broken(Invariant::I3, 1, || format!("{} comes directly after {before}", name(copy)));
        }
        *last = (*last).max(copy.seq);
    }
}

fn crashes(seen: &Seen, notes: &mut Notes) {
    for crash in &seen.crashes {
        let is_acknowledged = |copy: &&Copied| crash.committed.get(&copy.partition) > Some(&copy.offset);
        let acknowledged = seen.topic.iter().filter(is_acknowledged);
        for copy in acknowledged.filter(|copy| !crash.applied.contains(&copy.id)) {
            notes.broken(Invariant::I7, 1, || format!("{} was acknowledged before it was applied", name(copy)));
        }
    }
}

fn name(copy: &Copied) -> String {
    let Copied { partition, offset, key, seq, id } = copy;
    format!("{key} {seq}, credit {id:x}, at offset {offset} of partition {partition},")
}
