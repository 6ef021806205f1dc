//! Checks the answers of query servers against the log: I12.
use super::{Answer, Invariant, Notes, Posting, Seen};
use crate::fault_suite::{account::Posted, tally::Tally};
use std::collections::HashMap;

/// Checks that each answer is the fold of the first credits of its account: of all up to the position of its token, and
/// perhaps of later ones.
pub(super) fn check(seen: &Seen, notes: &mut Notes) {
    let mut accounts: HashMap<&str, Vec<&Posting>> = HashMap::new();
    for posting in &seen.log {
        accounts.entry(&posting.key).or_default().push(posting);
    }
    for Answer { key, at, tally } in &seen.answers {
        let credits = accounts.get(key.as_str()).map(Vec::as_slice).unwrap_or_default();
        let found = tally.clone().unwrap_or_default();
        let wanted = credits.iter().filter(|posting| posting.at <= *at).count();
        if found.count < wanted as u64 {
            let count = found.count;
            notes.broken(Invariant::I12, 1, || {
                format!(
                    "{key}: an answer has {count} of the {wanted} credits that its caller has seen at position {at}"
                )
            });
            continue;
        }
        let mut expected = Tally::default();
        for Posting { key, seq, amount, id, .. } in credits.iter().take(found.count as usize) {
            expected.post(&Posted { key: key.clone(), seq: *seq, amount: *amount, id: *id });
        }
        if found != expected {
            notes.broken(Invariant::I12, 1, || format!("{key}: an answer is {found:?}, and the log {expected:?}"));
        }
    }
}
