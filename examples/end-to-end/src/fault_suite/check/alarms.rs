//! Checks the alarms: each that is due has rung once, in the order of its bell, and no other has (I13).
use super::{Alarms, Invariant::I13, Notes, Seen};
use crate::fault_suite::alarms::timer_of;
use std::collections::HashMap;

pub(super) fn check(seen: &Seen, notes: &mut Notes) {
    let Some(Alarms { due, far, rung, waiting }) = &seen.alarms else { return };
    let mut rings: HashMap<u64, u64> = HashMap::with_capacity(rung.len());
    let mut last: HashMap<&str, u64> = HashMap::new();
    for ring in rung {
        let (bell, number) = (&ring.bell, ring.number);
        let times = rings.entry(number).or_default();
        *times += 1;
        if *times > 1 {
            notes.counts.doubled += 1;
            notes.broken(I13, 1, || format!("alarm {number} has rung {bell} again"));
            continue;
        }
        if number >= *due {
            notes.broken(I13, 1, || format!("alarm {number} has rung {bell} before its time"));
        }
        if let Some(before) = last.insert(bell, number).filter(|before| *before > number) {
            notes.counts.inverted += 1;
            notes.broken(I13, 1, || format!("alarm {number} has rung {bell} after alarm {before}"));
        }
    }
    for number in 0..due + far {
        let (has_rung, is_stored) = (rings.contains_key(&number), waiting.contains_key(&timer_of(number)));
        match (has_rung, is_stored) {
            (false, false) => {
                notes.counts.lost += 1;
                notes.broken(I13, 1, || format!("alarm {number} has not rung, and has no timer"));
            }
            (false, true) if number < *due => {
                notes.broken(I13, 1, || format!("alarm {number} is due and has not rung"));
            }
            (true, true) => notes.broken(I13, 1, || format!("alarm {number} has rung, and its timer is still there")),
            _ => (),
        }
    }
}
